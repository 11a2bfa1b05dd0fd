"""The help of a command, drawn by tyro from its flags."""

from collections.abc import Sequence
from dataclasses import field, make_dataclass
from typing import Annotated, Any

from lacewing.flags import Flag


def show_help(flags: Sequence[Flag], prog: str, about: str) -> None:
    """Print the help on stdout and raise SystemExit(0)."""
    import tyro

    tyro.cli(
        _command(flags),
        args=["--help"],
        prog=prog,
        description=about,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def _command(flags: Sequence[Flag]) -> Any:
    """A dataclass with a field per word and a dataclass per section of flags, for tyro."""
    import tyro

    members: list[Any] = [_argument(flag) for flag in flags if flag.word or not flag.section]
    sections: dict[str, list[Any]] = {}
    for flag in (flag for flag in flags if flag.section):
        sections.setdefault(flag.section, []).append(_argument(flag))
    for number, (section, arguments) in enumerate(sections.items()):
        title, _, remark = section.rstrip(")").partition(" (")
        group = make_dataclass(f"Section{number}", arguments)
        group.__doc__ = remark.capitalize() or None
        named = Annotated[group, tyro.conf.arg(name=title)]  # type: ignore[valid-type]
        members.append((f"section{number}", named, field(default_factory=group)))
    return make_dataclass("Command", members)


def _argument(flag: Flag) -> Any:
    import tyro

    default = "" if flag.default is None else str(flag.default)
    parser = tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{flag.long} ..." if flag.word and flag.word.many else flag.reader.metavar,
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value],
    )
    about = tyro.conf.arg(
        aliases=(flag.short,) if flag.short else (),
        help=flag.help,
        help_behavior_hint=f"(default: {default})" if default else "",
    )
    marks = (tyro.conf.Positional,) if flag.word else ()
    stands = tyro.MISSING if flag.required else default
    return (flag.name, Annotated[(str, parser, about, *marks)], field(default=stands))
