"""Near-identical images: a perceptual hash, and the groups it makes.

The difference hash (N. Krawetz, "Kind of like that", 2013) keeps for a picture of 9 x 8 grey
values whether each is brighter than its left neighbour: 64 bits that survive scaling and
compression.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

MAX_DISTANCE = 3
"""Bits in which the hashes of two near-identical images may differ; below the four chunks that are
looked for."""
MIN_CONTRAST = 4
"""A hash with fewer bits of either kind says too little (a plain area, a gradient)."""
MAX_ASPECT_CHANGE = 1.1
MAX_SCALE_CHANGE = 2.0
SMALL_BUCKET = 64
"""Rows of one chunk: so many are compared together with those of all other small buckets."""
LARGE_BUCKET = 1024
"""Rows: fewer are compared each with each, sooner than they are divided again."""
PAIRS_AT_ONCE = 2**18
"""Some 10 MB of distances, and as much again where all are near."""


def difference_hash(image: Image.Image) -> int:
    """The 64-bit difference hash of an image, first bit at the top left."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def bit_count(values: np.ndarray) -> np.ndarray:
    """The number of one bits of each uint64, as uint8 of the same shape."""
    pairs = values - (values >> np.uint64(1) & np.uint64(0x5555555555555555))
    low, high = pairs, pairs >> np.uint64(2)
    fours = (low & np.uint64(0x3333333333333333)) + (high & np.uint64(0x3333333333333333))
    bytes_ = fours + (fours >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (bytes_ * np.uint64(0x0101010101010101) >> np.uint64(56)).astype(np.uint8)


def equal_groups(contents: Sequence[str]) -> np.ndarray:
    """A number for each content hash, int64 [rows], shared by equal ones: their smallest row."""
    hashes = np.asarray(contents, dtype=str)
    _, firsts, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return firsts[inverse]


def near_identical_groups(
    contents: Sequence[str],
    hashes: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
) -> np.ndarray:
    """A group number for each image, int64 [rows]; near-identical images share theirs.

    Two images are near-identical if their content hashes are equal, or if their difference
    hashes (uint64 [rows]) differ in at most MAX_DISTANCE bits, their aspect ratios
    by at most 10 % and their sides by at most a factor of 2; and so is what is near-identical
    to the same image. A group's number is the smallest row in it.
    """
    parents = equal_groups(contents)
    ones = bit_count(hashes)
    rows = np.flatnonzero((ones >= MIN_CONTRAST) & (ones <= 64 - MIN_CONTRAST))
    # Images of one hash and one size behave alike, so that one of them stands for all.
    keys = np.stack([hashes[rows], widths[rows].astype(np.uint64), heights[rows].astype(np.uint64)])
    _, firsts, inverse = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    chosen = rows[firsts]
    groups = _similar_groups(hashes[chosen], widths[chosen], heights[chosen])
    _join(parents, rows, chosen[groups[inverse.ravel()]])
    return _roots(parents)


def _similar_groups(hashes: np.ndarray, widths: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """A group number for each row, shared by rows that are alike, directly or through others.

    Rows with an equal chunk of bits are found first: of four chunks, at least one is equal where
    no more than three bits differ. A large bucket of them is divided again in the same way.
    """
    parents = np.arange(len(hashes))
    if len(hashes) > LARGE_BUCKET and _saves_work(chunks := _chunks(hashes)):
        for chunk in chunks:
            _join_buckets(parents, chunk, hashes, widths, heights)
    else:
        _join_each_with_each(parents, hashes, widths, heights)
    return _roots(parents)


def _chunks(hashes: np.ndarray) -> np.ndarray:
    """The bits of hashes as four chunks, uint16 [4, rows].

    The bits that tell most, as many rows have them as don't, are dealt out to all four: a plain
    border or a common background is equal everywhere and would fill chunks of neighbouring bits.
    """
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1)
    telling = np.argsort(np.abs(bits.mean(axis=0) - 0.5), kind="stable")
    dealt = telling.reshape(16, 4).T.ravel()
    return np.packbits(np.take(bits, dealt, axis=1), axis=1).view(np.uint16).T


def _saves_work(chunks: np.ndarray) -> bool:
    """Whether the pairs of equal chunks are half of all or fewer: not among frames of one scene."""
    pairs = sum(int((np.bincount(chunk) ** 2).sum()) for chunk in chunks)
    return pairs <= chunks.shape[1] ** 2 / 2


def _join_buckets(
    parents: np.ndarray,
    chunk: np.ndarray,
    hashes: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
) -> None:
    """Join rows that are alike and have an equal chunk."""
    order = np.argsort(chunk, kind="stable")
    starts = np.flatnonzero(np.diff(chunk[order].astype(int), prepend=-1))
    sizes = np.diff(starts, append=len(order))
    is_large = sizes > SMALL_BUCKET
    small = order[np.repeat(~is_large, sizes)]
    _join_neighbours(parents, small, chunk[small], hashes, widths, heights)
    first = np.arange(len(hashes))
    for start, size in zip(starts[is_large], sizes[is_large], strict=True):
        bucket = order[start : start + size]
        first[bucket] = bucket[_similar_groups(hashes[bucket], widths[bucket], heights[bucket])]
    _join(parents, np.arange(len(hashes)), first)


def _join_neighbours(
    parents: np.ndarray,
    rows: np.ndarray,
    chunks: np.ndarray,
    hashes: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
) -> None:
    """Join rows that are alike, sorted by their chunks: each with the next ones of its chunk."""
    places = np.arange(len(rows))
    for step in range(1, SMALL_BUCKET):
        places = places[places + step < len(rows)]
        places = places[chunks[places] == chunks[places + step]]
        left, right = rows[places], rows[places + step]
        near = bit_count(hashes[left] ^ hashes[right]) <= MAX_DISTANCE
        left, right = left[near], right[near]
        alike = _similar_size(left, right, widths, heights)
        _join(parents, left[alike], right[alike])


def _join_each_with_each(
    parents: np.ndarray, hashes: np.ndarray, widths: np.ndarray, heights: np.ndarray
) -> None:
    """Join all rows that are alike: some with all that come after them, then the next."""
    start = 0
    while start < len(hashes):
        stop = start + max(1, PAIRS_AT_ONCE // (len(hashes) - start))
        distance = bit_count(hashes[start:stop, None] ^ hashes[None, start:])
        left, right = start + np.argwhere(distance <= MAX_DISTANCE).T
        alike = (left < right) & _similar_size(left, right, widths, heights)
        _join(parents, left[alike], right[alike])
        start = stop


def _similar_size(
    left: np.ndarray, right: np.ndarray, widths: np.ndarray, heights: np.ndarray
) -> np.ndarray:
    wide = np.log(widths[left]) - np.log(widths[right])
    high = np.log(heights[left]) - np.log(heights[right])
    same_shape = np.abs(wide - high) <= np.log(MAX_ASPECT_CHANGE)
    return same_shape & (np.maximum(np.abs(wide), np.abs(high)) <= np.log(MAX_SCALE_CHANGE))


def _join(parents: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Join each row with the one beside it; a root's parent becomes the smallest one it meets."""
    while len(left):
        parents[:] = _roots(parents)
        first, second = parents[left], parents[right]
        apart = first != second  # most are joined already where many are alike
        left, right, first, second = left[apart], right[apart], first[apart], second[apart]
        np.minimum.at(parents, np.maximum(first, second), np.minimum(first, second))


def _roots(parents: np.ndarray) -> np.ndarray:
    """The root of every row; each look goes twice as far."""
    roots = parents
    while ((further := roots[roots]) != roots).any():
        roots = further
    return roots
