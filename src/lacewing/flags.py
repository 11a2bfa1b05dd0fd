"""The command line, read from dataclasses whose fields carry a `Reader`.

The words are read here, and tyro draws the help. Reading is ours for three reasons: classic
flags have one dash and several letters (`-lr`), a value may begin with a dash, and each error
is one sentence. Flags come back as text; the fields' readers turn them into values, so that
flags win over a file, a file over the defaults, and all get the same checks.
"""

import ast
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from lacewing.config import SECTIONS, Short, TrainConfig, load_config, readers, with_recipe
from lacewing.errors import ConfigError
from lacewing.fields import Reader, path
from lacewing.values import nearest

T = TypeVar("T")
Given = dict[str, str | list[str]]
"""What was typed, by field: the text of a flag or word, a list where there may be several."""

HELP = frozenset(("-h", "--help"))


@dataclass(frozen=True)
class Word:
    """Marks a field that is given by its place, without a flag; `many` takes all the rest."""

    many: bool = False


@dataclass(frozen=True)
class Flag:
    """One flag, or one word, of a command."""

    name: str
    """The field: `learning_rate`."""
    reader: Reader
    help: str
    default: Any = None
    short: str = ""
    section: str = ""
    word: Word | None = None
    required: bool = False

    @property
    def long(self) -> str:
        """`--learning-rate`, or `RUN` for a word."""
        return self.reader.metavar if self.word else "--" + self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        """Whether it may stand without a value, which then is True."""
        return self.reader.metavar.startswith("True|False")


CONFIG_FILE = Flag(
    "config", path(metavar="FILE", optional=True), "YAML file that sets the same fields."
)


def flags_of(owner: type) -> tuple[Flag, ...]:
    """The flags of a dataclass, one per field that carries a Reader, in the fields' order."""
    hints = get_type_hints(owner, include_extras=True)
    texts = docstrings(owner)

    def mark(name: str, kind: type) -> Any:
        return next((m for m in hints[name].__metadata__ if isinstance(m, kind)), None)

    return tuple(
        Flag(
            name=item.name,
            reader=mark(item.name, Reader),
            help=texts[item.name],
            default=None if item.default is MISSING else item.default,
            short=getattr(mark(item.name, Short), "flag", ""),
            word=mark(item.name, Word),
            required=item.default is MISSING,
        )
        for item in fields(owner)
    )


@cache
def config_flags() -> tuple[Flag, ...]:
    """The flags of `lacewing train`, in their sections; --config stands after --data."""
    first, *rest = flags_of(TrainConfig)
    placed, section = [], ""
    for flag in (first, CONFIG_FILE, *rest):
        section = SECTIONS.get(flag.name, section)
        placed.append(Flag(**{**vars(flag), "section": section}))
    return tuple(placed)


def config_from(given: Given) -> TrainConfig:
    """The configuration that typed flags ask for. Raises ConfigError."""
    typed = dict(given)
    file = typed.pop(CONFIG_FILE.name, None)
    in_file = load_config(Path(str(file)).expanduser()) if file is not None else {}
    if str(in_file.get("recipe")).lower() == "auto":  # a run's own asked.yaml names every field
        in_file = unusual(in_file)
    return TrainConfig(**with_recipe({**in_file, **typed}))


def unusual(values: dict[str, Any]) -> dict[str, Any]:
    """Those that differ from their default. Raises ConfigError for a value that can't be."""
    usual = TrainConfig()
    return {
        name: value
        for name, value in values.items()
        if readers()[name].check(name, value) != getattr(usual, name)
    }


def options_from(owner: type[T], given: Given) -> T:
    """An instance of `owner` with the typed values, read and checked. Raises ConfigError."""
    typed = {}
    for flag in flags_of(owner):
        value = given.get(flag.name)
        if isinstance(value, list):
            typed[flag.name] = [flag.reader.check(flag.name, text) for text in value]
        elif value is not None:
            typed[flag.name] = flag.reader.check(flag.name, value)
    return owner(**typed)


def read_words(flags: Sequence[Flag], words: Sequence[str]) -> Given:
    """What the words of a command line give, by field. Raises ConfigError.

    `--name value` and `--name=value` are the same, underscores do for dashes, a switch may
    stand alone, `--no-flip` means `--flip False`, and after `--` nothing is a flag.
    """
    known = {flag.long: flag for flag in flags if not flag.word}
    known |= {flag.short: flag for flag in flags if flag.short}
    # where words have places, a switch that took the next word would take one of them
    greedy = not any(flag.word for flag in flags)
    given: Given = {}
    placed: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            placed += rest
            break
        if not word.startswith("-") or word == "-":
            placed.append(word)
            continue
        name, equals, value = word.partition("=")
        flag, negated = _find(name, known)
        if flag is None or (negated and equals):
            raise ConfigError(_unknown(name, known))
        if negated:
            value = "False"
        elif not equals:
            value = _value(flag, name, rest, known, greedy)
        given[flag.name] = value
    return given | _placed(flags, placed)


def _find(name: str, known: dict[str, Flag]) -> tuple[Flag | None, bool]:
    """The flag that a spelling means, and whether it is denied (`--no-flip`)."""
    name = name.replace("_", "-") if name.startswith("--") else name
    if name in known:
        return known[name], False
    denied = known.get("--" + name[5:]) if name.startswith("--no-") else None
    return (denied, True) if denied is not None and denied.is_switch else (None, False)


def _value(flag: Flag, name: str, rest: list[str], known: dict[str, Flag], greedy: bool) -> str:
    """The value of a flag, taken from the words that follow it."""
    is_value = bool(rest) and not rest[0].startswith("--") and rest[0].split("=")[0] not in known
    if is_value and (greedy or not flag.is_switch):
        return rest.pop(0)
    if flag.is_switch:
        return "True"
    raise ConfigError(f"{name} needs a value ({flag.reader.metavar}): {flag.help}")


def _placed(flags: Sequence[Flag], words: list[str]) -> Given:
    """The words without a flag, by the field whose place they stand in."""
    given: Given = {}
    rest = list(words)
    for flag in (flag for flag in flags if flag.word):
        if flag.required and not rest:
            raise ConfigError(f"{flag.long} is missing: {flag.help}")
        if flag.word and flag.word.many:
            given[flag.name], rest = rest, []
        elif rest:
            given[flag.name] = rest.pop(0)
    if rest and any(flag.word for flag in flags):
        raise ConfigError(f"{rest[0]!r} is one word too many; see --help.")
    if rest:
        valued = next((flag.long for flag in flags if not flag.is_switch), None)
        hint = f"each value stands after its flag, as in {valued} {rest[0]}"
        raise ConfigError(f"{rest[0]!r} belongs to no flag: {hint if valued else 'see --help'}.")
    return given


def _unknown(name: str, known: dict[str, Flag]) -> str:
    return f"There is no flag {name}{nearest(name, list(known)) or '; see --help.'}"


def docstrings(owner: type) -> dict[str, str]:
    """The docstring of each field of a dataclass, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, follower in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(follower, ast.Expr)
            and isinstance(follower.value, ast.Constant)
        ):
            found[statement.target.id] = " ".join(str(follower.value.value).split())
    return found
