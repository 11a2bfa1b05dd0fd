"""How the fields of a configuration are read and checked.

One `Reader` serves the command line, the YAML file and the Python call, so that a bad value
gets the same sentence wherever it comes from. `auto` and an empty YAML value both mean
"not asked" and become None where a field allows it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lacewing.errors import ConfigError


@dataclass(frozen=True)
class Reader:
    """Reads one kind of value: `read` takes text or a value and returns the value.

    `read` raises ValueError with a text that completes "--learning-rate ...": "must be a
    number above 0".
    """

    metavar: str
    read: Callable[[Any], Any]
    optional: bool = False
    unset: tuple[str, ...] = ("auto", "none")
    """Words for "not asked", where the field is optional."""

    def check(self, field: str, value: Any) -> Any:
        """The value that `value` stands for. Raises ConfigError naming the flag of `field`."""
        if self.optional and (value is None or str(value).lower() in self.unset):
            return None
        try:
            return self.read(value)
        except ValueError as error:
            flag = "--" + field.replace("_", "-")
            raise ConfigError(f"{flag} {error}, but it was {value!r}.") from None


def number(
    *,
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    optional: bool = False,
) -> Reader:
    """A finite number inside its bounds."""
    bounds = [
        (f"at least {at_least:g}" if at_least is not None else ""),
        (f"above {above:g}" if above is not None else ""),
        (f"below {below:g}" if below is not None else ""),
        (f"at most {at_most:g}" if at_most is not None else ""),
    ]
    wanted = " ".join(["must be a number", " and ".join(b for b in bounds if b)]).strip()

    def read(value: Any) -> float:
        try:
            if isinstance(value, bool):
                raise TypeError
            result = float(value)
        except (TypeError, ValueError):
            raise ValueError(wanted) from None
        inside = (
            (at_least is None or result >= at_least)
            and (above is None or result > above)
            and (below is None or result < below)
            and (at_most is None or result <= at_most)
            and result - result == 0  # neither infinite nor NaN
        )
        if not inside:
            raise ValueError(wanted)
        return result

    return Reader("NUMBER", read, optional)


def number_or_auto(*, above: float) -> Reader:
    """A number, or the word `auto`, which here asks for a measurement; None: not asked."""
    return _or_auto("NUMBER", number(above=above))


def share_or_auto() -> Reader:
    """A number from 0 to 1, or the word `auto`, which here asks for a choice by validation."""
    return replace(_or_auto("SHARE", number(at_least=0, at_most=1)), optional=False, unset=())


def _or_auto(metavar: str, inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if str(value).strip().lower() == "auto":
            return "auto"
        try:
            return inner.read(value)
        except ValueError as error:
            raise ValueError(f"{error}, or auto") from None

    return Reader(f"{metavar}|auto", read, optional=True, unset=("none",))


def whole(*, at_least: int = 0, at_most: int | None = None, optional: bool = False) -> Reader:
    """A whole number inside its bounds."""
    limit = f"of at least {at_least}" + (f" and at most {at_most}" if at_most is not None else "")

    def read(value: Any) -> int:
        try:
            if isinstance(value, bool) or float(value) != int(float(value)):
                raise ValueError
            result = int(float(value))
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"must be a whole number {limit}") from None
        if result < at_least or (at_most is not None and result > at_most):
            raise ValueError(f"must be a whole number {limit}")
        return result

    return Reader("N", read, optional)


def whole_or_auto(*, at_least: int = 0) -> Reader:
    """A whole number, or the word `auto`, which here asks for a measurement; None: not asked."""
    return _or_auto("N", whole(at_least=at_least))


SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"([0-9.]+) *([a-z]*) *")


def duration(*, optional: bool = False) -> Reader:
    """A time above 0, in seconds: `90`, `90s`, `10m`, `1.5h`, `1h30m`."""
    wanted = "must be a time like 90s, 10m or 1h30m"

    def read(value: Any) -> float:
        text = str(value).strip().lower()
        if isinstance(value, bool) or DURATION.sub("", text):
            raise ValueError(wanted)
        try:
            parts = DURATION.findall(text)
            seconds = sum(float(count) * SECONDS[unit] for count, unit in parts)
        except (ValueError, KeyError):
            raise ValueError(wanted) from None
        if not 0 < seconds < float("inf"):
            raise ValueError(wanted)
        return float(seconds)

    return Reader("TIME", read, optional)


TRUE = frozenset({"true", "yes", "1", "on", "t", "y"})
FALSE = frozenset({"false", "no", "0", "off", "f", "n"})


def _read_boolean(value: Any) -> bool:
    word = str(value).strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("must be True or False (yes/no and 1/0 will do)")


def boolean(*, optional: bool = False) -> Reader:
    """True/False, yes/no, 1/0, on/off in any case."""
    return Reader("True|False", _read_boolean, optional)


def one_of(
    *words: str, optional: bool = False, unset: tuple[str, ...] = ("auto", "none")
) -> Reader:
    """One of a few words, in any case; `unset` as in Reader."""

    def read(value: Any) -> str:
        word = str(value).strip().lower()
        # YAML reads a bare `none`, `off` or `no` as something else than text.
        word = {"false": "off", "true": "on"}.get(word, word) if word not in words else word
        if word not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return word

    return Reader("|".join(words), read, optional, unset)


def some_of(*words: str) -> Reader:
    """Some of a few words, separated by commas, each once; None: not asked."""

    def read(value: Any) -> str:
        given = [word.strip().lower() for word in str(value).split(",")]
        if not set(given) <= set(words):
            raise ValueError(f"must be some of {','.join(words)}, separated by commas")
        return ",".join(dict.fromkeys(given))

    return Reader(",".join(words), read, optional=True, unset=("none",))


def text(*, metavar: str = "TEXT", optional: bool = False) -> Reader:
    """Any text but the empty one."""

    def read(value: Any) -> str:
        word = "none" if value is None else str(value).strip()
        if not word:
            raise ValueError("must not be empty")
        return word

    return Reader(metavar, read, optional)


def secret(*, metavar: str = "TEXT") -> Reader:
    """A word that goes through headers and addresses as it is; nothing else than None is unset."""

    def read(value: Any) -> str:
        word = str(value)
        if not word or not word.isascii() or not word.isprintable() or " " in word:
            raise ValueError("must be letters, digits and signs of ASCII without spaces")
        return word

    return Reader(metavar, read, optional=True, unset=())


def path(*, metavar: str = "PATH", optional: bool = False) -> Reader:
    """A path, with `~` expanded; whether it exists is checked where it is used."""

    def read(value: Any) -> Path:
        if not str(value).strip() or "\0" in str(value):
            raise ValueError("must be a path")
        return _expanded(value)

    return Reader(metavar, read, optional)


def _expanded(value: Any) -> Path:
    try:
        return Path(str(value)).expanduser()
    except RuntimeError:  # ~ of a user that is not there
        raise ValueError("must be a path, and there is no such user") from None


def switch_or_path() -> Reader:
    """True/False, or the path that is meant."""

    def read(value: Any) -> bool | Path:
        try:
            return _read_boolean(value)
        except ValueError:
            return _expanded(value)

    return Reader("True|False|PATH", read)
