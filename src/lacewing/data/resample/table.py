"""Resampling by reading from one long row of bytes: for any device, and images of any places.

The four neighbours of a place are read each channel on its own, since `index_select` along one
dimension is the quickest way to read by place; `lerp` interpolates.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lacewing.data.resample.places import STEP, Places
from lacewing.data.sent import sent


@dataclass(frozen=True)
class Table:
    """The bytes of N images in one row: red, green, blue of each pixel."""

    flat: Tensor
    """uint8; `spare_bytes` follow the last pixel."""
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


def tabulate(canvas: Tensor) -> Table:
    """A canvas uint8 [N, H, W, 3] as a table."""
    size = canvas.numel()
    spare = spare_bytes(canvas.shape[2])
    flat = torch.zeros(size + spare, dtype=torch.uint8, device=canvas.device)
    flat[:size] = canvas.flatten()
    return Table(flat, *lie_on(canvas))


def lie_on(canvas: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Where the images of a canvas [N, H, W, 3] begin, and pixels from row to row: int64 [N]."""
    count, height, width, _ = canvas.shape
    return 3 * height * width * np.arange(count), np.full(count, width)


def spare_bytes(width: int) -> int:
    """A row and a pixel: neighbours of the last pixels, whose weight is 0."""
    return 3 * (width + 1)


def sample_table(table: Table, places: Places) -> Tensor:
    """One sample per output pixel of a table's images, float32 [M, 3, S, S] in 0..255."""
    at = positions(table, places)
    return torch.stack([blend(table, at, channel) for channel in range(3)], dim=1)


def positions(table: Table, places: Places) -> Positions:
    """Places as positions in the table."""
    device = table.flat.device

    def axis(k: int) -> Tensor:
        along, start, last = (
            sent(np.ascontiguousarray(steps[:, k]), device)
            for steps in (places.along, places.start, places.last)
        )
        sums = start[:, :, None] + along[:, None, :]  # [M, S, S]
        return sums.clamp_(min=0).minimum(last[:, None, None])

    x, y = axis(0), axis(1)
    # an int32 counts to 2 GiB
    dtype = torch.int32 if len(table.flat) < 2**31 else torch.int64
    first, line = (
        sent(numbers, device).to(dtype)[:, None, None]
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
