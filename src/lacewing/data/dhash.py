"""Near-identical images: a perceptual hash, and the groups it makes.

The difference hash (N. Krawetz, "Kind of like that", 2013) keeps for a picture of 9 x 8 grey
values whether each is brighter than its left neighbour: 64 bits that survive scaling and
compression.
"""

from collections.abc import Iterator, Sequence

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
PAIRS_AT_ONCE = 2**20
"""Some 60 MB of distances and ratios."""


def difference_hash(image: Image.Image) -> int:
    """The 64-bit difference hash of an image, first bit at the top left."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def bit_count(values: np.ndarray) -> np.ndarray:
    """The number of one bits of each uint64, as uint8 of the same shape."""
    bytes_ = np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, 8)
    return _ONES[bytes_].sum(axis=-1, dtype=np.uint8)


_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


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
    _join_similar(parents, hashes, widths, heights)
    return _roots(parents)


def _join_similar(
    parents: np.ndarray,
    hashes: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
) -> None:
    """Join rows that are alike. Equal 16-bit chunks are found first: of four chunks, at least
    one is equal where no more than three bits differ."""
    ones = bit_count(hashes)
    rows = np.flatnonzero((ones >= MIN_CONTRAST) & (ones <= 64 - MIN_CONTRAST))
    # Images of one hash and one size behave alike, so that one of them stands for all.
    keys = np.stack([hashes[rows], widths[rows].astype(np.uint64), heights[rows].astype(np.uint64)])
    _, firsts, inverse = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    chosen = rows[firsts]
    first = chosen[inverse.ravel()]
    _join_pairs(parents, first[first != rows], rows[first != rows])
    shift = np.uint64(16)
    for number in range(4):
        chunk = ((hashes[chosen] >> (shift * np.uint64(number))) & np.uint64(0xFFFF)).astype(int)
        order = np.argsort(chunk, kind="stable")
        starts = np.flatnonzero(np.diff(chunk[order], prepend=-1))
        sizes = np.diff(starts, append=len(order))
        is_large = sizes > SMALL_BUCKET
        small = order[np.repeat(~is_large, sizes)]
        _join_neighbours(parents, chosen[small], chunk[small], hashes, widths, heights)
        for start, size in zip(starts[is_large], sizes[is_large], strict=True):
            bucket = chosen[order[start : start + size]]
            for row, others in _alike_in(bucket, hashes, widths, heights):
                # thousands of frames of one scene: most are joined already
                for other in np.unique(parents[others]).tolist():
                    _join(parents, row, other)


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
        _join_pairs(parents, left[alike], right[alike])


def _alike_in(
    bucket: np.ndarray,
    hashes: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
) -> Iterator[tuple[int, np.ndarray]]:
    """Each row of a bucket that others are like, with all of these, itself among them."""
    at_once = max(1, PAIRS_AT_ONCE // len(bucket))
    for start in range(0, len(bucket), at_once):
        block = bucket[start : start + at_once]
        distance = bit_count(hashes[block][:, None] ^ hashes[bucket][None, :])
        alike = (distance <= MAX_DISTANCE) & _similar_size(
            block[:, None], bucket[None, :], widths, heights
        )
        for place in np.flatnonzero(alike.sum(1) > 1):  # most are like themselves only
            yield int(block[place]), bucket[alike[place]]


def _similar_size(
    left: np.ndarray, right: np.ndarray, widths: np.ndarray, heights: np.ndarray
) -> np.ndarray:
    wide = np.log(widths[left]) - np.log(widths[right])
    high = np.log(heights[left]) - np.log(heights[right])
    same_shape = np.abs(wide - high) <= np.log(MAX_ASPECT_CHANGE)
    return same_shape & (np.maximum(np.abs(wide), np.abs(high)) <= np.log(MAX_SCALE_CHANGE))


def _join_pairs(parents: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Join each row with the one beside it; most are joined already where many are alike."""
    if not len(left):
        return
    parents[:] = _roots(parents)
    apart = parents[left] != parents[right]
    for first, second in zip(left[apart].tolist(), right[apart].tolist(), strict=True):
        _join(parents, first, second)


def _roots(parents: np.ndarray) -> np.ndarray:
    """The root of every row; each look goes twice as far."""
    roots = parents
    while ((further := roots[roots]) != roots).any():
        roots = further
    return roots


def _join(parents: np.ndarray, first: int, second: int) -> None:
    first, second = _root(parents, first), _root(parents, second)
    parents[max(first, second)] = min(first, second)


def _root(parents: np.ndarray, row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = int(parents[row])
    return row
