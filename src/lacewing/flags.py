"""The command line of TrainConfig, made by tyro from its fields.

Only the flags that were typed come back, as text; the configuration's readers turn them into
values. So flags win over a file, a file over the defaults, and all get the same checks.
"""

import ast
import inspect
import textwrap
from dataclasses import field, make_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import tyro

from lacewing.config import SECTIONS, TrainConfig, field_names, load_config, readers, shorts
from lacewing.errors import ConfigError
from lacewing.values import nearest

FILE_FLAG = "config"


class NotGiven:
    """Stands for a flag that was not typed; shows the default in the help."""

    def __init__(self, default: Any) -> None:
        self.default = default


def parse_config(arguments: list[str], prog: str) -> TrainConfig:
    """The configuration that a command line asks for. Raises ConfigError."""
    given = parse_flags(arguments, prog)
    file = given.pop(FILE_FLAG, None)
    fields = load_config(Path(file)) if file else {}
    return TrainConfig(**{**fields, **given})


def parse_flags(arguments: list[str], prog: str) -> dict[str, str]:
    """The flags that were typed, by field, as text. `--help` prints the help and exits."""
    parsed, unknown = tyro.cli(
        _command(),
        args=joined(arguments),
        prog=prog,
        description=TrainConfig.__doc__,
        return_unknown_args=True,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    if unknown:
        raise ConfigError(unknown_flag(unknown[0]))
    given = {}
    for group in vars(parsed).values():
        given |= {name: value for name, value in vars(group).items() if isinstance(value, str)}
    return given


def joined(arguments: list[str]) -> list[str]:
    """Each flag and its value as one `--name=value`; a boolean's value may be left out.

    So a value may begin with a dash, and `--no-flip` means `--flip False`.
    """
    result = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        negated = flag.startswith("--no-") and _known(flag) is None
        name = _known("--" + flag[5:] if negated else flag)
        if name is None or (negated and not is_boolean(name)):
            result.append(word)
            continue
        if negated:
            value = "False"
        elif not equals:
            if rest and not _is_flag(rest[0]):
                value = rest.pop(0)
            elif is_boolean(name):
                value = "True"
            else:
                raise ConfigError(f"{flag} needs a value: {help_of(name)}")
        result.append(f"--{name.replace('_', '-')}={value}")
    return result


def is_boolean(name: str) -> bool:
    """Whether a flag may stand without its value."""
    return name in readers() and readers()[name].metavar.startswith("True|False")


def help_of(name: str) -> str:
    """What a field is, its docstring's first line."""
    return docstrings()[name] if name != FILE_FLAG else "YAML file that sets the same fields."


@cache
def flag_names() -> dict[str, str]:
    """The field that each spelling means: `{"--learning-rate": "learning_rate", "-lr": ...}`."""
    names = {"--" + name.replace("_", "-"): name for name in (*field_names(), FILE_FLAG)}
    return names | {short: name for name, short in shorts().items()}


def unknown_flag(word: str) -> str:
    """The sentence for a word that is no flag."""
    flag = word.partition("=")[0]
    if not flag.startswith("-"):
        return f"{flag!r} belongs to no flag: each value stands after its flag, as in --data {flag}."
    return f"There is no flag {flag}{nearest(flag, list(flag_names())) or '; see --help.'}"


def _known(flag: str) -> str | None:
    return flag_names().get(flag.replace("_", "-") if flag.startswith("--") else flag)


def _is_flag(word: str) -> bool:
    flag = word.partition("=")[0]
    return _known(flag) is not None or flag.startswith("--")


@cache
def docstrings() -> dict[str, str]:
    """The docstring of each field of TrainConfig."""
    body = ast.parse(textwrap.dedent(inspect.getsource(TrainConfig))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, follower in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(follower, ast.Expr)
            and isinstance(follower.value, ast.Constant)
        ):
            found[statement.target.id] = str(follower.value.value)
    return found


@cache
def _command() -> Any:
    """A dataclass of groups of flags, for tyro."""
    defaults = TrainConfig()
    groups: dict[str, list[Any]] = {}
    title = ""
    for name in field_names():
        title = SECTIONS.get(name, title)
        default = getattr(defaults, name)
        groups.setdefault(title, []).append(_flag(name, readers()[name].metavar, default))
        if name == "data":
            groups[title].append(_flag(FILE_FLAG, "FILE", None))
    members = []
    for title, flags in groups.items():
        group = make_dataclass(title.split(" (")[0].replace(" ", "_").replace(",", ""), flags)
        group.__doc__ = title
        members.append((f"group{len(members)}", group, field(default_factory=group)))
    return make_dataclass("Train", members)


def _flag(name: str, metavar: str, default: Any) -> Any:
    short = shorts().get(name)
    parser = tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: isinstance(value, str | NotGiven),
        str_from_instance=lambda value: ["auto" if value.default is None else str(value.default)],
    )
    about = tyro.conf.arg(aliases=(short,) if short else (), help=help_of(name))
    return (name, Annotated[str, parser, about], field(default=NotGiven(default)))
