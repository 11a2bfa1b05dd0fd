"""Crop, turn, mirror and jitter in two passes over a batch: kernels in Triton, for GPUs.

The tensor operations of `resample` and `augment` take some fifty kernels for each sample of a
pixel, which small networks wait for. Here one kernel reads the bytes and writes the varied pixel,
and one more does what needs the whole image's mean. The places are those of `resample`, whole
steps that are counted on the CPU, so the resampled pixels are the same to the bit. The contrast's
mean is summed in another order, as on every device.
"""

from dataclasses import dataclass

import numpy as np
import torch
import triton
from torch import Tensor

from lacewing.data.augment import Parameters
from lacewing.data.resample.places import by_samples, last_places, parts
from lacewing.data.triton_code import FACTS, sample, tone
from lacewing.hardware.cuda_streams import current_device_of

PIXELS = 512
"""Output pixels of a program."""


@dataclass(frozen=True)
class Packed:
    """What the kernels must know of a batch, in one row of bytes, so that one copy sends it."""

    buffer: Tensor
    """uint8: facts int64 [N, FACTS], steps int32, factors of the jitter float32 [N, 3]."""
    images: int
    is_toned: bool
    """Whether any contrast or saturation changes."""

    @property
    def facts(self) -> Tensor:
        """int64 [N * FACTS]."""
        return self.buffer[: 8 * FACTS * self.images].view(torch.int64)

    @property
    def steps(self) -> Tensor:
        """int32: of each image what columns add, x and y, sample by sample; and then rows."""
        return self.buffer[8 * FACTS * self.images : -12 * self.images].view(torch.int32)

    @property
    def jitter(self) -> Tensor:
        """float32 [N * 3]: brightness, contrast, saturation."""
        return self.buffer[-12 * self.images :].view(torch.float32)


def pack(drawn: Parameters, starts: np.ndarray, lines: np.ndarray, size: int) -> Packed:
    """What was drawn for N images, on the CPU, for outputs of `size`.

    starts: the first bytes of the images; lines: pixels from one of their rows to the next: int64
    [N] each.
    """
    affine = drawn.affine
    facts = np.zeros((len(affine), FACTS), np.int64)
    facts[:, 0], facts[:, 1] = starts, 3 * lines
    facts[:, 2:4] = last_places(np.stack([drawn.widths, drawn.heights], axis=1))
    pieces, begin = [], 0
    for (down, across), members in by_samples(affine).items():
        alongs, rows = parts(affine[members], size, down, across)
        piece = np.stack([*alongs, *rows], axis=1)  # [M, across + down, 2, S]
        length = piece[0].size
        facts[members, 4], facts[members, 5] = down, across
        facts[members, 6] = begin + length * np.arange(len(members))
        begin += length * len(members)
        pieces.append(piece.ravel())
    pieces.append(np.zeros(-begin % 4, np.int32))
    fields = (facts, *pieces, np.ascontiguousarray(drawn.jitter, np.float32))
    buffer = np.concatenate([field.reshape(-1).view(np.uint8) for field in fields])
    return Packed(torch.from_numpy(buffer), len(affine), bool((drawn.jitter[:, 1:] != 1).any()))


def vary(flat: Tensor, packed: Packed, size: int) -> Tensor:
    """The images resampled and jittered, float32 [N, 3, size, size] in 0..1, channels last.

    flat: the bytes of all images, uint8 [bytes], on the device, as is what was packed.
    """
    count, tiles = packed.images, triton.cdiv(size * size, PIXELS)
    out = torch.empty((count, size, size, 3), device=flat.device)
    sums = torch.empty((count, tiles), device=flat.device)
    grid = (count, tiles)
    # fused products would round otherwise than the tensor operations do
    exactly = {"PIXELS": PIXELS, "enable_fp_fusion": False}
    with current_device_of(flat):
        sample[grid](flat, packed.facts, packed.steps, packed.jitter, out, sums, size, **exactly)
        if packed.is_toned:
            width = triton.next_power_of_2(tiles)
            tone[grid](out, sums, packed.jitter, size, tiles, TILES=width, **exactly)
    return out.permute(0, 3, 1, 2)
