"""Class names that may mean the same: `Weevil` and `weevils`, `catterpillar` and `caterpillar`."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np

from lacewing.data.dhash import bit_count

MIN_RATIO = 0.9
"""difflib's likeness of two names, 0..1. `brown plant hopper` and `small brown plant hopper`,
two species, have 0.86."""
MIN_LETTERS = 5
"""Shorter names are alike by chance: ant and bat."""
MAX_LONGER = 2
"""Letters by which a misspelling may be longer."""
PAIRS_AT_ONCE = 2**20


def misspelt_twins(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in case, separators or plural, or by a slip of the pen."""
    plain = [normalised(name) for name in names]
    found = [pair for pair in candidates(plain) if alike(plain[pair[0]], plain[pair[1]])]
    return [(names[first], names[second]) for first, second in sorted(found)]


def normalised(name: str) -> str:
    """A name in lower case, without separators and plural endings."""
    words = re.findall(r"\w+", name.casefold().replace("_", " "))
    return "".join(re.sub(r"(?<=\w\w[^s])s$", "", word) for word in words)


def alike(first: str, second: str) -> bool:
    """Whether two normalised names may be one. Names that differ in a number never are."""
    if digits(first) != digits(second):
        return False
    if first == second:
        return bool(first)
    if min(len(first), len(second)) < MIN_LETTERS or abs(len(first) - len(second)) > MAX_LONGER:
        return False
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return matcher.quick_ratio() >= MIN_RATIO and matcher.ratio() >= MIN_RATIO


def digits(name: str) -> tuple[str, ...]:
    """The numbers in a name."""
    return tuple(re.findall(r"\d+", name))


def candidates(plain: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Positions of all pairs of normalised names that may be alike, the smaller first.

    Ten thousand names are fifty million pairs: those of other numbers, lengths or letters are
    told apart without a look at each.
    """
    by_digits: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, name in enumerate(plain):
        if name:
            by_digits[digits(name)].append(position)
    for positions in by_digits.values():
        if len(positions) > 1:
            yield from _of_like_letters(np.array(positions), plain)


def _of_like_letters(positions: np.ndarray, plain: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of some positions whose names differ in few letters, in whichever order these stand.

    A likeness of 0.9 leaves a tenth of the letters of both names without a partner, and each such
    letter changes one bit of `letter_bits` at most.
    """
    lengths = np.array([len(plain[position]) for position in positions])
    order = np.argsort(lengths, kind="stable")
    positions, lengths = positions[order], lengths[order]
    bits = np.array([letter_bits(plain[position]) for position in positions], np.uint64)
    ends = np.searchsorted(lengths, lengths + MAX_LONGER, side="right")
    at_once = max(1, PAIRS_AT_ONCE // len(positions))
    for start in range(0, len(positions), at_once):
        rows = slice(start, start + at_once)
        others = slice(start, int(ends[rows][-1]))
        changed = bit_count(bits[rows, None] ^ bits[None, others])
        most = (1 - MIN_RATIO) * (lengths[rows, None] + lengths[None, others]) + 1e-6
        left, right = np.nonzero(np.triu(changed <= most, k=1))
        first, second = np.sort(positions[start + np.stack([left, right])], axis=0).tolist()
        yield from zip(first, second, strict=True)


def letter_bits(name: str) -> int:
    """64 bits that say which letters a name has, and how many times each."""
    bits = 0
    for letter, count in Counter(name).items():
        for time in range(count):
            bits |= 1 << (ord(letter) + 29 * time) % 64
    return bits
