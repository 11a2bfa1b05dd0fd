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
    """The bytes of N images in one row: red, green, blue of each pixel."""

    flat: Tensor
    """uint8, or float32 on a CPU; `spare_bytes` follow the last pixel."""
    starts: np.ndarray
    """int64 [N]: where each image begins."""
    widths: np.ndarray
    """int64 [N]: pixels from one of its rows to the next."""

    def of(self, images: np.ndarray) -> "Table":
        """Some of the images, by their numbers."""
        return Table(self.flat, self.starts[images], self.widths[images])


@dataclass(frozen=True)
class Positions:
    """Where samples are taken, for output [M, S, S]."""

    upper: Tensor
    """int32, or int64 in a long table: of the upper left one of four pixels, its red byte."""
    lower: Tensor
    """Of the lower left one."""
    right: Tensor
    """float32: how far right of it, in pixels, a multiple of 1/256 below 1."""
    below: Tensor
    """How far below it."""


def resample(
    images: Tensor | Table, affine: np.ndarray, heights: np.ndarray, widths: np.ndarray, size: int
) -> Tensor:
    """Each image through its affine map, float32 [N, 3, size, size] in 0..1.

    images: a canvas uint8 [N, H, W, 3], image i its upper left heights[i] x widths[i] pixels; or
    a table.
    affine: float64 [N, 2, 3], from output pixel (column, row, 1) to image pixel (x, y), both
    counted from the centre of the upper left one. Outside the image its border goes on.
    """
    device = images.flat.device if isinstance(images, Table) else images.device
    out = torch.empty((len(affine), 3, size, size), device=device)
    at_once = max(1, CACHE_PIXELS // size**2) if device.type == "cpu" else len(affine)
    groups = by_samples(affine)
    done = 0
    for (down, across), members in groups.items():
        for start in range(0, len(members), at_once):
            some = members[start : start + at_once]
            extent = np.stack([widths[some], heights[some]], axis=1)
            place = out[done : done + len(some)]
            average(table_of(images, some), affine[some], extent, down, across, out=place)
            done += len(some)
    if len(groups) < 2:
        return out
    # the groups lie one after the other: back to the batch's order
    places = np.argsort(np.concatenate(list(groups.values())))
    return out.index_select(0, torch.from_numpy(places).to(device))


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
    table: Table,
    affine: np.ndarray,
    extent: np.ndarray,
    down: int,
    across: int,
    *,
    out: Tensor,
) -> None:
    """Write the mean of down x across samples per pixel into `out` [M, 3, size, size], in 0..1."""
    size = out.shape[-1]
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
    # an int32 counts to 2 GiB
    dtype = torch.int32 if len(table.flat) < 2**31 else torch.int64
    first, line = (
        torch.from_numpy(numbers).to(device, dtype)[:, None, None]
        for numbers in (table.starts, 3 * table.widths)
    )
    upper = (y >> 8).to(dtype).mul_(line).add_(x >> 8, alpha=3).add_(first)
    right, below = (place.bitwise_and_(STEP - 1).mul(1 / STEP) for place in (x, y))
    return Positions(upper, upper + line, right, below)


def blend(table: Table, at: Positions, channel: int) -> Tensor:
    """One channel between four pixels, float32 [M, S, S] in 0..255, without rounding."""

    def along(left: Tensor) -> Tensor:
        ends = (
            table.flat[start:].index_select(0, left.flatten()).to(torch.float32).view_as(left)
            for start in (channel, channel + 3)
        )
        return next(ends).lerp_(next(ends), at.right)

    return along(at.upper).lerp_(along(at.lower), at.below)


def table_of(images: Tensor | Table, some: np.ndarray) -> Table:
    """Some of the images, by their numbers, as a table."""
    if isinstance(images, Table):
        return images.of(some)
    first, last = int(some[0]), int(some[-1])
    if last - first + 1 == len(some):
        return tabulate(images[first : last + 1])
    return tabulate(images.index_select(0, torch.from_numpy(some).to(images.device)))


def tabulate(canvas: Tensor) -> Table:
    """A canvas uint8 [N, H, W, 3] as a table."""
    count, height, width, _ = canvas.shape
    # a CPU reads floats as quickly as bytes, and need not convert each of them four times
    dtype = torch.float32 if canvas.device.type == "cpu" else torch.uint8
    size = canvas.numel()
    flat = torch.zeros(size + spare_bytes(width), dtype=dtype, device=canvas.device)
    flat[:size] = canvas.flatten()
    return Table(flat, 3 * height * width * np.arange(count), np.full(count, width))


def spare_bytes(width: int) -> int:
    """A row and a pixel: neighbours of the last pixels, whose weight is 0."""
    return 3 * (width + 1)


def _steps(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Pixels as whole steps, int32; what lies far outside any image is as good as nearer."""
    steps = np.floor(STEP * pixels + 0.5).clip(-FARTHEST, FARTHEST)
    return torch.from_numpy(steps.astype(np.int32)).to(device)
