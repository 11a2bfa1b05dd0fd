"""Class names that may mean the same: `Weevil` and `weevils`, `catterpillar` and `caterpillar`."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations

MIN_RATIO = 0.9
"""difflib's likeness of two names, 0..1. `brown plant hopper` and `small brown plant hopper`,
two species, have 0.86."""
MIN_LETTERS = 5
"""Shorter names are alike by chance: ant and bat."""
MAX_LONGER = 2
"""Letters by which a misspelling may be longer."""


def misspelt_twins(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in case, separators or plural, or by a slip of the pen."""
    known = [(name, normalised(name)) for name in names]
    return [(a, b) for (a, plain_a), (b, plain_b) in combinations(known, 2)
            if alike(plain_a, plain_b)]  # fmt: skip


def normalised(name: str) -> str:
    """A name in lower case, without separators and plural endings."""
    words = re.findall(r"\w+", name.casefold().replace("_", " "))
    return "".join(re.sub(r"(?<=\w\w[^s])s$", "", word) for word in words)


def alike(first: str, second: str) -> bool:
    """Whether two normalised names may be one. Names that differ in a number never are."""
    if re.findall(r"\d+", first) != re.findall(r"\d+", second):
        return False
    if first == second:
        return bool(first)
    if min(len(first), len(second)) < MIN_LETTERS or abs(len(first) - len(second)) > MAX_LONGER:
        return False
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return matcher.quick_ratio() >= MIN_RATIO and matcher.ratio() >= MIN_RATIO
