"""Mixup and cutmix: a training image is mixed with the one before it in its batch.

How much is drawn per image by its address. The partner is not: it is the batch's order that
pairs, so another batch size mixes other pairs. Splitting a batch into passes changes nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lacewing.data.chance import MIXING, uniforms
from lacewing.data.erasing import covered
from lacewing.data.sent import sent

SHARE, ACROSS, DOWN, WHICH = range(4)
COLUMNS = 4
GRID = 4097
"""Points of a Beta distribution's table; its error is far below what 8-bit pixels can show."""


@dataclass(frozen=True)
class Mixture:
    """What was drawn for N images."""

    shares: np.ndarray
    """float32 [N]: an image's own share of its mixture; the partner has the rest."""
    boxes: np.ndarray
    """int64 [N, 4]: top, left, bottom, right of the partner's pixels; zeros where both blend."""


def draw_mixture(
    mixup: float, cutmix: float, *, seed: int, epoch: int, samples: np.ndarray, size: int
) -> Mixture:
    """Draw for samples int64 [N], by the parameters of the two Beta distributions; 0 is off.

    Mixup (Zhang et al. 2018) blends, cutmix (Yun et al. 2019) pastes a rectangle; with both,
    each image takes one of them by the toss of a coin.
    """
    u = uniforms(seed, epoch, samples, COLUMNS, MIXING)
    cuts = u[:, WHICH] < (0.5 if mixup and cutmix else float(cutmix > 0))
    blended = symmetric_beta(u[:, SHARE], mixup) if mixup else np.ones(len(u))
    boxes = np.zeros((len(u), 4), np.int64)
    if cutmix:
        pasted = paste_boxes(u, symmetric_beta(u[:, SHARE], cutmix), size)
        boxes = np.where(cuts[:, None], pasted, boxes)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    shares = np.where(cuts, 1 - area / size**2, blended)
    return Mixture(shares.astype(np.float32), boxes)


def symmetric_beta(u: np.ndarray, alpha: float) -> np.ndarray:
    """Beta(alpha, alpha) from uniform numbers [N], through the inverse of its distribution.

    With t = x**alpha the density of the lower half is (1 - x)**(alpha - 1), which is smooth
    however small alpha is, so a table of its integral serves; the upper half mirrors it.
    """
    t = np.linspace(0, 0.5**alpha, GRID)
    density = (1 - t ** (1 / alpha)) ** (alpha - 1)
    integral = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    lower = np.interp(np.minimum(u, 1 - u), integral / (2 * integral[-1]), t) ** (1 / alpha)
    return np.where(u < 0.5, lower, 1 - lower)


def paste_boxes(u: np.ndarray, shares: np.ndarray, size: int) -> np.ndarray:
    """Squares of 1 - shares of the area, centred on any pixel and cut off at the border."""
    half = np.floor(0.5 * np.sqrt(1 - shares) * size)[:, None]
    centre = np.floor(u[:, [DOWN, ACROSS]] * size)
    corners = np.concatenate([centre - half, centre + half], axis=1)
    return corners.clip(0, size).astype(np.int64)


def mix(images: Tensor, labels: Tensor, mixture: Mixture, classes: int) -> tuple[Tensor, Tensor]:
    """Mixed images and their shares of each class, float32 [N, classes].

    images: float32 [N, 3, S, S]; labels: int64 [N]; both on one device.
    """
    device = images.device
    own = sent(mixture.shares, device)[:, None]
    cuts = sent(np.asarray(mixture.boxes.any(1)), device)[:, None, None, None]
    pasted = covered(mixture.boxes, images.shape[-1], device)
    weight = torch.where(cuts, (~pasted).float(), own[:, :, None, None])
    hot = functional.one_hot(labels, classes).float()
    return images.roll(1, 0).lerp(images, weight), hot.roll(1, 0).lerp(hot, own)
