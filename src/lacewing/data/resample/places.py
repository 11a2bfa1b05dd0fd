"""Where samples are taken: how many per output pixel, and at which 1/256 of a pixel."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

STEP = 256
"""Positions per pixel."""
FARTHEST = 2**29
"""Steps: the sum of two such places is still an int32."""
MAX_SPACING = 1.25
"""Pixels between two samples beyond which detail would alias: more samples are averaged then."""
MAX_SAMPLES = 8
"""Samples averaged along either axis, at most."""


@dataclass(frozen=True)
class Places:
    """One sample per output pixel of M images, along x (k = 0) and y (k = 1), in steps.

    A pixel's place along an axis is along[image, k, column] + start[image, k, row], moved into
    0..last[image, k].
    """

    along: np.ndarray
    """int32 [M, 2, S]: what an output column adds."""
    start: np.ndarray
    """int32 [M, 2, S]: what an output row adds."""
    last: np.ndarray
    """int32 [M, 2]: the image's last pixel."""


def by_samples(affine: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Images by the samples they need per output pixel (down, across): int64 [M] each."""
    spacing = np.hypot(affine[:, 0, :2], affine[:, 1, :2])  # [N, 2]: per output column, per row
    counts = np.ceil(spacing / MAX_SPACING - 1e-6).astype(np.int64).clip(1, MAX_SAMPLES)
    groups = np.unique(counts, axis=0)
    return {
        (int(down), int(across)): np.flatnonzero((counts == (across, down)).all(1))
        for across, down in groups
    }


def samples(
    affine: np.ndarray, extent: np.ndarray, size: int, down: int, across: int
) -> Iterator[Places]:
    """The places of each of down x across samples per output pixel.

    affine: float64 [M, 2, 3]; extent: the images' widths and heights in pixels, int64 [M, 2].
    """
    last = last_places(extent)
    alongs, starts = parts(affine, size, down, across)
    for start in starts:
        for along in alongs:
            yield Places(along, start, last)


def last_places(extent: np.ndarray) -> np.ndarray:
    """The last pixels of images of widths and heights int64 [M, 2], int32 [M, 2]."""
    return (STEP * (extent - 1)).astype(np.int32)


def parts(
    affine: np.ndarray, size: int, down: int, across: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What columns add in each of `across` samples, and rows in each of `down`; see `Places`."""
    alongs, starts = [], []
    for j in range(across):
        column = np.arange(size) + ((j + 0.5) / across - 0.5)
        alongs.append(steps(affine[:, :, 0, None] * column))
    for i in range(down):
        row = np.arange(size) + ((i + 0.5) / down - 0.5)
        starts.append(steps(affine[:, :, 1, None] * row + affine[:, :, 2:]))
    return alongs, starts


def steps(pixels: np.ndarray) -> np.ndarray:
    """Pixels as whole steps, int32; what lies far outside any image is as good as nearer."""
    return np.floor(STEP * pixels + 0.5).clip(-FARTHEST, FARTHEST).astype(np.int32)
