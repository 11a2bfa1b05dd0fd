"""Write docs/cli.md, the reference of the command line, from the code.

python docs/make_cli.py
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from lacewing.cli import COMMANDS
from lacewing.flags import Flag

PAGE = Path(__file__).resolve().parent / "cli.md"
HEAD = """\
# Command line

<!-- Written by docs/make_cli.py. A test fails when it is not current. -->

Every command has `--help`. A flag's name may be written with dashes or underscores,
`--name value` or `--name=value`. A switch may stand alone (`--deterministic`), and
`--no-flip` means `--flip False`. The flags of `train` are also the fields of a YAML file for
`--config`, where flags win over the file, and the keywords of `lacewing.train`.

Exit codes: 0 done, 1 a fault, 2 what was asked for can't be done, 130 interrupted and
resumable.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole reference, Markdown."""
    return HEAD + "".join(f"\n{line}" for name in COMMANDS for line in command(name)) + "\n"


def command(name: str) -> Iterator[str]:
    """The lines of one command: what it does, how it is called, a table for each section."""
    found = COMMANDS[name]
    flags = found.flags()
    words = [word(flag) for flag in flags if flag.word]
    more = ["[FLAGS]"] if any(not flag.word for flag in flags) else []
    yield from (f"## {name}", "", found.about, "")
    yield from ("```", " ".join(["lacewing", name, *words, *more]), "```", "")
    for section, members in groupby(flags, key=lambda flag: flag.section):
        if section:
            yield from (f"### {name}: {section}", "")
        yield from ("| flag | value | default | |", "|---|---|---|---|")
        yield from (row(flag) for flag in members)
        yield ""


def word(flag: Flag) -> str:
    """A word without a flag, as usage lines write it."""
    shown = f"{flag.long} ..." if flag.word and flag.word.many else flag.long
    return shown if flag.required else f"[{shown}]"


def row(flag: Flag) -> str:
    """One line of a table."""
    names = [flag.long, flag.short] if flag.short else [flag.long]
    value = "" if flag.word else code(flag.reader.metavar)
    default = "" if flag.default is None or flag.default == "" else code(str(flag.default))
    text = flag.help.replace("|", "\\|").replace("<", "&lt;")
    return f"| {', '.join(map(code, names))} | {value} | {default} | {text} |"


def code(text: str) -> str:
    """Text in a fixed-width font, inside a table."""
    return "`" + text.replace("|", "\\|") + "`"


if __name__ == "__main__":
    main()
