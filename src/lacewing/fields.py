"""How the fields of a configuration are read and checked.

One `Reader` serves the command line, the YAML file and the Python call, so that a bad value
gets the same sentence wherever it comes from. `auto` and an empty YAML value both mean
"not asked" and become None where a field allows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacewing.errors import ConfigError
from lacewing.values import nearest


@dataclass(frozen=True)
class Reader:
    """Reads one kind of value: `read` takes text or a value and returns the value.

    `read` raises ValueError with a text that completes "--learning-rate ...": "must be a
    number above 0".
    """

    metavar: str
    read: Callable[[Any], Any]
    optional: bool = False

    def check(self, field: str, value: Any) -> Any:
        """The value that `value` stands for. Raises ConfigError naming the flag of `field`."""
        if self.optional and (value is None or str(value).lower() in ("auto", "none")):
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


def one_of(*words: str, optional: bool = False) -> Reader:
    """One of a few words, in any case."""

    def read(value: Any) -> str:
        word = str(value).strip().lower()
        # YAML reads a bare `none`, `off` or `no` as something else than text.
        word = {"false": "off", "true": "on"}.get(word, word) if word not in words else word
        if word not in words:
            hint = nearest(word, list(words), count=1).rstrip("?")
            raise ValueError(f"must be one of {', '.join(words)}{hint}")
        return word

    return Reader("|".join(words), read, optional)


def text(*, metavar: str = "TEXT", optional: bool = False) -> Reader:
    """Any text but the empty one."""

    def read(value: Any) -> str:
        word = "none" if value is None else str(value).strip()
        if not word:
            raise ValueError("must not be empty")
        return word

    return Reader(metavar, read, optional)


def path(*, metavar: str = "PATH", optional: bool = False) -> Reader:
    """A path, with `~` expanded; whether it exists is checked where it is used."""

    def read(value: Any) -> Path:
        if not str(value).strip() or "\0" in str(value):
            raise ValueError("must be a path")
        return Path(str(value)).expanduser()

    return Reader(metavar, read, optional)


def switch_or_path() -> Reader:
    """True/False, or the path that is meant."""

    def read(value: Any) -> bool | Path:
        try:
            return _read_boolean(value)
        except ValueError:
            return Path(str(value)).expanduser()

    return Reader("True|False|PATH", read)


def word_list(known: Sequence[str] | None = None) -> Reader:
    """Words separated by commas; with `known`, each must be among them."""

    def read(value: Any) -> tuple[str, ...]:
        parts = value if isinstance(value, list | tuple) else str(value).split(",")
        words = tuple(str(part).strip() for part in parts if str(part).strip())
        for word in words:
            if known is not None and word not in known:
                raise ValueError(f"knows {', '.join(known)}; {word!r} is none of them")
        return words

    return Reader("WORD[,WORD]", read)
