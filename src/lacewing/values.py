"""Small values that every room uses: a choice with its reason, and amounts in words."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Source = Literal["user", "measured", "rule", "fallback"]
"""Where a decision came from, in the order of precedence."""


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A decision that travels with its reason.

    `reason` is one sentence; `evidence` holds the figures behind it, by name with the unit
    in the name (`{"free_bytes": 3.1e9}`).
    """

    value: T
    reason: str
    source: Source
    evidence: Mapping[str, float | str] = field(default_factory=dict)


KIB, MIB, GIB = 2**10, 2**20, 2**30


def gib_asked_by(variable: str) -> int | None:
    """Bytes that a variable of the environment gives in GiB; None where it is not set.

    Raises ValueError where it is no number.
    """
    said = os.environ.get(variable, "").strip()
    try:
        return int(float(said) * GIB) if said else None
    except OverflowError:
        raise ValueError(said) from None


def format_bytes(count: float) -> str:
    """`3221225472` -> `"3.0 GiB"`."""
    for unit, size in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(count) >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def format_seconds(seconds: float) -> str:
    """`4.2` -> `"4.2 s"`, `75` -> `"1 min 15 s"`, `7380` -> `"2 h 3 min"`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def nearest(word: str, known: list[str], count: int = 3) -> str:
    """A hint for a misspelt name: `"; did you mean resnet18 or resnet34?"`, or nothing."""
    matches = get_close_matches(word, known, n=count, cutoff=0.5)
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


def counted(number: int, thing: str) -> str:
    """`"1 epoch"`, `"3 epochs"`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def first_line(error: BaseException) -> str:
    """The beginning of an error's text, for a sentence; those of torch have a stack below."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160].rstrip(". ")
