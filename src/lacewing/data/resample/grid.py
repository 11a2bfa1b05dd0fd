"""Resampling by `grid_sample`, on a CPU the quickest way: one vectorised pass per sample.

`grid_sample` takes places in -1..1 of an image's width and height. That would round them, so it
is shown the canvas as if its sides were powers of two and a pixel more: then all it does with a
multiple of 1/256 pixel is exact. What it is shown beyond the canvas is never read but with a
weight of 0, and is zero or another pixel.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lacewing.data.resample.places import STEP, Places

MOST_PIXELS = 2**14
"""Of a canvas's side: places there are multiples of 2**-22 of it, which a float32 holds."""


@dataclass(frozen=True)
class Shown:
    """A canvas as `grid_sample` is shown it."""

    images: Tensor
    """float32 [M, 3, height, width] in 0..255, a view that overlaps itself."""
    halves: np.ndarray
    """int64 [2]: half of its width and of its height, less a pixel: powers of two."""


def show(canvas: Tensor) -> Shown:
    """A canvas uint8 [M, H, W, 3] of less than MOST_PIXELS a side, on a CPU."""
    count, height, width, _ = canvas.shape
    halves = np.array([power_of_two(width), power_of_two(height)]) // 2
    shown_width, shown_height = (2 * halves + 1).tolist()
    size = canvas.numel()
    spare = 3 * (width * shown_height + shown_width)
    flat = torch.empty(size + spare)
    flat[:size].view(canvas.shape).copy_(canvas)
    flat[size:].zero_()
    shape = (count, 3, shown_height, shown_width)
    return Shown(flat.as_strided(shape, (3 * height * width, 1, 3 * width, 3)), halves)


def power_of_two(pixels: int) -> int:
    """The smallest that is at least 2 and not below `pixels`."""
    return 1 << max(1, (pixels - 1).bit_length())


def sample_grid(shown: Shown, places: Places) -> Tensor:
    """One sample per output pixel, float32 [M, 3, S, S] in 0..255."""
    unit = 1 / (STEP * shown.halves)  # of a step
    along, start, last = (
        torch.from_numpy((steps * unit.reshape(shape)).astype(np.float32)).transpose(0, 1)
        for steps, shape in (
            (places.along, (2, 1)),
            (places.start, (2, 1)),
            (places.last, (2,)),
        )
    )  # [2, M, S], [2, M, S], [2, M]
    grid = start[:, :, :, None] + (along - 1)[:, :, None, :]
    grid.clamp_(min=-1)
    torch.minimum(grid, (last - 1)[:, :, None, None], out=grid)
    return functional.grid_sample(
        shown.images, grid.permute(1, 2, 3, 0), padding_mode="zeros", align_corners=True
    )
