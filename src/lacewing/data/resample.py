"""Affine resampling of a batch of images, in integers: the same pixels on every device.

A pixel's three bytes are packed into one 32-bit word, so a tap of the bilinear kernel is one
indexed read, and red and blue are weighed by one multiplication (the weights, of 8 bits,
leave each its own 16). On a CPU it takes about as long as `grid_sample`, but it never reads
beyond an image's own border, and copies exactly where a map is a shift, a flip or a quarter
turn. Positions are rounded to 1/256 pixel; OpenCV's warps round to 1/32.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

STEP = 256
"""Positions per pixel, and the sum of a position's four weights."""
MAX_SPACING = 1.25
"""Pixels between two samples beyond which detail would alias: more samples are averaged then."""
MAX_SAMPLES = 8
"""Samples averaged along either axis, at most."""
CACHE_PIXELS = 2**16
"""Output pixels per pass on a CPU: its intermediate results stay in the cache."""
RED_BLUE = 0x00FF00FF
LOW_HALF = 0xFFFF


@dataclass(frozen=True)
class Words:
    """A batch of images with one 32-bit word per pixel."""

    flat: Tensor
    """int32 [N * height * width + a row to spare]: red | blue << 16 | (green - 128) << 24."""
    height: int
    width: int


@dataclass(frozen=True)
class Positions:
    """Where samples are taken: for output [M, S, S], each int32."""

    index: Tensor
    """Of the upper left one of four pixels, in `Words.flat`."""
    right: Tensor
    """How far right of it, in 1/256 pixel, 0..255."""
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
    words = pack(canvas)
    out = canvas.new_empty((len(canvas), 3, size, size), dtype=torch.float32)
    at_once = max(1, CACHE_PIXELS // size**2) if canvas.device.type == "cpu" else len(canvas)
    for (down, across), members in by_samples(affine).items():
        for start in range(0, len(members), at_once):
            rows = members[start : start + at_once]
            extent = np.stack([widths[rows], heights[rows]], axis=1)
            part = average(words, affine[rows], rows, extent, size, down, across)
            if len(rows) == len(out):
                return part
            out.index_copy_(0, torch.from_numpy(rows).to(out.device), part)
    return out


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
    words: Words,
    affine: np.ndarray,
    rows: np.ndarray,
    extent: np.ndarray,
    size: int,
    down: int,
    across: int,
) -> Tensor:
    """The mean of down x across samples per output pixel, float32 [M, 3, size, size] in 0..1."""
    total: Tensor | None = None
    for i in range(down):
        for j in range(across):
            offset = np.array([(j + 0.5) / across - 0.5, (i + 0.5) / down - 0.5])
            sample = blend(words, positions(words, affine, rows, extent, size, offset))
            total = sample if total is None else total.add_(sample)
    assert total is not None
    return total.div_(255.0 * STEP * down * across)


def positions(
    words: Words,
    affine: np.ndarray,
    rows: np.ndarray,
    extent: np.ndarray,
    size: int,
    offset: np.ndarray,
) -> Positions:
    """Where the maps send the output's pixels, moved by `offset` (column, row) within them."""
    device = words.flat.device
    column, row = np.arange(size) + offset[0], np.arange(size) + offset[1]

    def axis(k: int) -> Tensor:
        along = STEP * affine[:, k, 0, None] * column  # [M, S]
        start = STEP * (affine[:, k, 1, None] * row + affine[:, k, 2, None]) + 0.5
        last = torch.from_numpy(STEP * (extent[:, k] - 1).astype(np.float32)).to(device)
        place = _float(start, device)[:, :, None] + _float(along, device)[:, None, :]
        return place.clamp_(min=0).minimum(last[:, None, None]).to(torch.int32)

    x, y = axis(0), axis(1)
    first = torch.from_numpy((rows * words.height * words.width).astype(np.int32)).to(device)
    index = (y >> 8).mul_(words.width).add_(x >> 8).add_(first[:, None, None])
    return Positions(index, x.bitwise_and_(STEP - 1), y.bitwise_and_(STEP - 1))


def blend(words: Words, at: Positions) -> Tensor:
    """The weighted sum of four pixels, float32 [M, 3, S, S] in 0..255 * 256, without rounding."""
    index = at.index.flatten()
    both = (at.right * at.below).add_(STEP // 2).bitwise_right_shift_(8)
    right, below = at.right - both, at.below - both
    weights = [w.flatten() for w in (STEP - at.right - below, right, below, both)]
    red_blue = torch.zeros_like(index)
    green = torch.full_like(index, 128 * STEP)  # the highest byte has a sign, hence green - 128
    for start, weight in zip((0, 1, words.width, words.width + 1), weights, strict=True):
        word = words.flat[start:].index_select(0, index)
        red_blue.addcmul_(word & RED_BLUE, weight)
        green.addcmul_(word.bitwise_right_shift_(24), weight)
    out = torch.empty((len(at.index), 3, *at.index.shape[1:]), device=index.device)
    out[:, 0] = (red_blue & LOW_HALF).view_as(at.index)
    out[:, 1] = green.view_as(at.index)
    out[:, 2] = red_blue.bitwise_right_shift_(16).bitwise_and_(LOW_HALF).view_as(at.index)
    return out


def pack(canvas: Tensor) -> Words:
    """One word per pixel of a canvas uint8 [N, H, W, 3]."""
    _, height, width, _ = canvas.shape
    pixels = canvas.reshape(-1, 3)
    # a row to spare: past the last pixel stand neighbours whose weight is 0
    flat = torch.zeros(len(pixels) + width + 1, dtype=torch.int32, device=canvas.device)
    body = flat[: len(pixels)]
    body.copy_(pixels[:, 1]).sub_(128)
    body.bitwise_left_shift_(8).bitwise_or_(pixels[:, 2])
    body.bitwise_left_shift_(16).bitwise_or_(pixels[:, 0])
    return Words(flat, height, width)


def _float(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device)
