"""TrivialAugment: one of 14 changes per image, at any strength.

Müller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", 2021,
the wide ranges, as torchvision has them. Shears, shifts and rotations become part of the one
resampling, so an image is interpolated once and what lies beyond the crop is real where the
photo goes on. Brightness, colour and contrast are factors of the ordinary jitter.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lacewing.data.division import divide
from lacewing.data.sent import sent

KINDS = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness",
    "color", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize",
)  # fmt: skip
BINS = 31
"""Strengths of each kind."""
LARGEST = {
    "shear_x": 0.99,
    "shear_y": 0.99,
    "translate_x": 32 / 224,
    "translate_y": 32 / 224,
    "rotate": 135.0,
    "brightness": 0.99,
    "color": 0.99,
    "contrast": 0.99,
    "sharpness": 0.99,
}
"""Kinds that go either way: shear per pixel, shift by the side, degrees, change of a factor."""
JITTERED = {"brightness": 0, "contrast": 1, "color": 2}
"""Kinds that are a factor of the jitter, with its column."""
COLUMNS = 3
"""Numbers that an image takes: kind, strength, direction."""


@dataclass(frozen=True)
class Trivial:
    """What was drawn for N images."""

    kinds: np.ndarray
    """int64 [N]: positions in KINDS."""
    strengths: np.ndarray
    """float64 [N]: as in LARGEST, signed; bits for posterize, a threshold 0..1 for solarize."""

    def of(self, rows: np.ndarray) -> "Trivial":
        """What was drawn for some of the images, by their numbers."""
        return Trivial(self.kinds[rows], self.strengths[rows])


def draw_trivial(u: np.ndarray) -> Trivial:
    """Kind and strength of each image, from u float64 [N, COLUMNS] in [0, 1)."""
    kinds = (u[:, 0] * len(KINDS)).astype(np.int64)
    step = np.floor(u[:, 1] * BINS) / (BINS - 1)
    largest = np.array([LARGEST.get(kind, 0.0) for kind in KINDS])[kinds]
    strengths = largest * step * np.where(u[:, 2] < 0.5, -1, 1)
    strengths = np.where(kinds == KINDS.index("posterize"), 8 - np.round(6 * step), strengths)
    strengths = np.where(kinds == KINDS.index("solarize"), 1 - step, strengths)
    return Trivial(kinds, strengths)


def warps(drawn: Trivial, size: int) -> np.ndarray:
    """Maps float64 [N, 2, 3] between output pixels: where each takes its value from.

    Pixels are counted from the centre of the upper left one; shears hold its corner still.
    """
    amount = {
        kind: np.where(drawn.kinds == KINDS.index(kind), drawn.strengths, 0.0)
        for kind in ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
    }
    angle = np.radians(amount["rotate"])
    cos, sin = np.cos(angle), np.sin(angle)
    right, down = amount["shear_x"], amount["shear_y"]
    linear = np.array([[cos, right - sin], [down + sin, cos]]).transpose(2, 0, 1)
    # the corner is at (-1/2, -1/2), the centre at (middle, middle)
    middle = (size - 1) / 2
    across = right / 2 + middle * (1 - cos + sin) - size * amount["translate_x"]
    below = down / 2 + middle * (1 - cos - sin) - size * amount["translate_y"]
    return np.concatenate([linear, np.stack([across, below], axis=1)[:, :, None]], axis=2)


def jitters(drawn: Trivial) -> np.ndarray:
    """Factors of brightness, contrast and saturation, float32 [N, 3]."""
    factors = np.ones((len(drawn.kinds), 3), np.float32)
    for kind, column in JITTERED.items():
        rows = drawn.kinds == KINDS.index(kind)
        factors[rows, column] += drawn.strengths[rows]
    return factors


def retouch(images: Tensor, drawn: Trivial) -> Tensor:
    """The kinds that neither move pixels nor are jitter, in place, on float32 [N, 3, S, S]."""
    for kind, operation in TONES.items():
        rows = np.flatnonzero(drawn.kinds == KINDS.index(kind))
        if len(rows):
            place = sent(rows, images)
            strengths = sent(drawn.strengths[rows].astype(np.float32), images)[:, None, None, None]
            images.index_copy_(0, place, operation(images.index_select(0, place), strengths))
    return images


def sharpen(images: Tensor, change: Tensor) -> Tensor:
    """Away from, or towards, a blurred image by 1 + change; the outermost pixels stay."""
    kernel = torch.ones((3, 3), device=images.device)  # filled there: a copy would be waited for
    kernel[1, 1].fill_(5.0)
    kernel /= 13
    blurred = images.clone()
    inner = functional.conv2d(images, kernel.expand(3, 1, 3, 3), groups=3)
    blurred[:, :, 1:-1, 1:-1] = inner
    return blurred.lerp(images, 1 + change).clamp_(0, 1)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Only the highest `bits` of each byte."""
    step = torch.exp2(8 - bits)
    return divide(((images * 255).round_() / step).floor_().mul_(step), 255)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """The negative of what is as bright as the threshold or brighter."""
    return torch.where(images >= threshold, 1 - images, images)


def autocontrast(images: Tensor, _: Tensor) -> Tensor:
    """Each channel stretched to 0..1."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    stretched = (images - low).div_((high - low).clamp(min=1e-6)).clamp_(0, 1)
    return torch.where(high > low, stretched, images)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Each channel's values spread so that all are about as frequent, as Pillow does it."""
    values = (images * 255).round_().long().flatten(2)  # [M, 3, S * S]
    counts = values.new_zeros((*values.shape[:2], 256))
    counts.scatter_add_(2, values, torch.ones_like(values))
    below = counts.cumsum(2) - counts  # pixels that are darker
    brightest = counts.gather(2, values.amax(2, keepdim=True))
    step = (values.shape[2] - brightest) // 255
    spread = ((below + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    table = torch.where(step > 0, spread, torch.arange(256, device=images.device))
    return divide(table.gather(2, values).view_as(images).float(), 255)


TONES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sharpness": sharpen,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}
"""Operations on images [M, 3, S, S] in 0..1 with a strength each, [M, 1, 1, 1]."""
