"""Affine resampling of a batch of images: the same pixels on every device.

Places are counted in 1/256 pixel, what a column and what a row adds each rounded on its own
(OpenCV's warps round to 1/32). So every weight along an axis is a multiple of 2**-8 and every
pixel a byte: all sums fit the 24 bits of a float32 and are exact, in whatever order and by
whatever instructions they are computed. Nothing is read beyond an image's own border, and a
shift, a flip or a quarter turn copies.

The four neighbours are read from one long row of bytes, each channel on its own, since
`index_select` along one dimension is the quickest way to read; `lerp` interpolates.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

STEP = 256
"""Positions per pixel."""
FARTHEST = 2**29
"""Steps: the sum of two such places is still an int32."""
MAX_SPACING = 1.25
"""Pixels between two samples beyond which detail would alias: more samples are averaged then."""
MAX_SAMPLES = 8
"""Samples averaged along either axis, at most."""
CACHE_PIXELS = 2**16
"""Output pixels per pass on a CPU: its intermediate results stay in the cache."""


@dataclass(frozen=True)
class Table:
    """The bytes of a batch of images one after the other, red, green, blue of each pixel."""

    flat: Tensor
    """[N * height * width * 3 + a row and a pixel to spare]: float32 on a CPU, else uint8."""
    height: int
    width: int


@dataclass(frozen=True)
class Positions:
    """Where samples are taken, for output [M, S, S]."""

    index: Tensor
    """int32: of the upper left one of four pixels, its red byte in `Table.flat`."""
    right: Tensor
    """float32: how far right of it, in pixels, a multiple of 1/256 below 1."""
    below: Tensor
    """How far below it."""


def resample(
    canvas: Tensor, affine: np.ndarray, heights: np.ndarray, widths: np.ndarray, size: int
) -> Tensor:
    """Each image through its affine map, float32 [N, 3, size, size] in 0..1.

    canvas: uint8 [N, H, W, 3]; image i is its upper left heights[i] x widths[i] pixels.
    affine: float64 [N, 2, 3], from output pixel (column, row, 1) to image pixel (x, y), both
    counted from the centre of the upper left one. Outside the image its border goes on.
    """
    out = canvas.new_empty((len(canvas), 3, size, size), dtype=torch.float32)
    at_once = max(1, CACHE_PIXELS // size**2) if canvas.device.type == "cpu" else len(canvas)
    groups = by_samples(affine)
    done = 0
    for (down, across), members in groups.items():
        for start in range(0, len(members), at_once):
            rows = members[start : start + at_once]
            extent = np.stack([widths[rows], heights[rows]], axis=1)
            place = out[done : done + len(rows)]
            average(some_of(canvas, rows), affine[rows], extent, down, across, out=place)
            done += len(rows)
    if len(groups) < 2:
        return out
    # the groups lie one after the other: back to the batch's order
    places = np.argsort(np.concatenate(list(groups.values())))
    return out.index_select(0, torch.from_numpy(places).to(out.device))


def by_samples(affine: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Images by the samples they need per output pixel (down, across): int64 [M] each."""
    spacing = np.hypot(affine[:, 0, :2], affine[:, 1, :2])  # [N, 2]: per output column, per row
    counts = np.ceil(spacing / MAX_SPACING - 1e-6).astype(np.int64).clip(1, MAX_SAMPLES)
    groups = np.unique(counts, axis=0)
    return {
        (int(down), int(across)): np.flatnonzero((counts == (across, down)).all(1))
        for across, down in groups
    }


def average(
    canvas: Tensor,
    affine: np.ndarray,
    extent: np.ndarray,
    down: int,
    across: int,
    *,
    out: Tensor,
) -> None:
    """Write the mean of down x across samples per pixel into `out` [M, 3, size, size], in 0..1."""
    table, size = tabulate(canvas), out.shape[-1]
    for i in range(down):
        for j in range(across):
            offset = np.array([(j + 0.5) / across - 0.5, (i + 0.5) / down - 0.5])
            at = positions(table, affine, extent, size, offset)
            for channel in range(3):
                sample = blend(table, at, channel)
                if i == j == 0:
                    out[:, channel] = sample
                else:
                    out[:, channel] += sample
    out.div_(255.0 * down * across)


def positions(
    table: Table,
    affine: np.ndarray,
    extent: np.ndarray,
    size: int,
    offset: np.ndarray,
) -> Positions:
    """Where the maps send the output's pixels, moved by `offset` (column, row) within them."""
    device = table.flat.device
    column, row = np.arange(size) + offset[0], np.arange(size) + offset[1]

    def axis(k: int) -> Tensor:
        along = _steps(affine[:, k, 0, None] * column, device)  # [M, S]
        start = _steps(affine[:, k, 1, None] * row + affine[:, k, 2, None], device)
        last = _steps(extent[:, k] - 1, device)[:, None, None]
        return (start[:, :, None] + along[:, None, :]).clamp_(min=0).minimum(last)

    x, y = axis(0), axis(1)
    step = 3 * table.height * table.width
    first = torch.arange(0, step * len(affine), step, dtype=torch.int32, device=device)
    index = (y >> 8).mul_(3 * table.width).add_(x >> 8, alpha=3).add_(first[:, None, None])
    right, below = (place.bitwise_and_(STEP - 1).mul(1 / STEP) for place in (x, y))
    return Positions(index, right, below)


def blend(table: Table, at: Positions, channel: int) -> Tensor:
    """One channel between four pixels, float32 [M, S, S] in 0..255, without rounding."""
    index = at.index.flatten()

    def tap(pixels: int) -> Tensor:
        values = table.flat[3 * pixels + channel :].index_select(0, index)
        return values.to(torch.float32).view_as(at.index)

    upper = tap(0).lerp_(tap(1), at.right)
    lower = tap(table.width).lerp_(tap(table.width + 1), at.right)
    return upper.lerp_(lower, at.below)


def some_of(canvas: Tensor, rows: np.ndarray) -> Tensor:
    """The images `rows` of a canvas; a view where they lie side by side."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows):
        return canvas[first : last + 1]
    return canvas.index_select(0, torch.from_numpy(rows).to(canvas.device))


def tabulate(canvas: Tensor) -> Table:
    """A canvas uint8 [N, H, W, 3] as one row of numbers."""
    _, height, width, _ = canvas.shape
    # a CPU reads floats as quickly as bytes, and need not convert each of them four times
    dtype = torch.float32 if canvas.device.type == "cpu" else torch.uint8
    count = canvas.numel()
    # past the last pixel stand neighbours whose weight is 0
    flat = torch.zeros(count + 3 * (width + 1), dtype=dtype, device=canvas.device)
    flat[:count] = canvas.flatten()
    return Table(flat, height, width)


def _steps(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Pixels as whole steps, int32; what lies far outside any image is as good as nearer."""
    steps = np.floor(STEP * pixels + 0.5).clip(-FARTHEST, FARTHEST)
    return torch.from_numpy(steps.astype(np.int32)).to(device)
