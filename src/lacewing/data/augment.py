"""Augmentation of training images: drawn per sample by address, computed per batch on tensors.

One resampling does crop, scale, aspect, rotation and flip together, so an image is
interpolated once; brightness, contrast and saturation follow, in this order. What else may be
asked for lies in trivial.py, erasing.py and mixing.py.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lacewing.config import TrainConfig
from lacewing.data.chance import ERASING, TRIVIAL, uniforms
from lacewing.data.erasing import COLUMNS as ERASING_COLUMNS
from lacewing.data.erasing import draw_boxes
from lacewing.data.resample import Table, passes, resample, some_of
from lacewing.data.sent import sent
from lacewing.data.trivial import COLUMNS as TRIVIAL_COLUMNS
from lacewing.data.trivial import Trivial, draw_trivial, jitters, retouch, warps

if TYPE_CHECKING:
    from lacewing.data.kernel import Packed

FLIP, ROTATION, BRIGHTNESS, CONTRAST, SATURATION, ACROSS, DOWN = range(7)
"""Columns of a sample's uniform numbers; the crop's tries follow: TRIES areas, TRIES aspects."""
TRIES = 10
MIN_ASPECT, MAX_ASPECT = 3 / 4, 4 / 3
GREY = (0.2989, 0.587, 0.114)
"""Luma of red, green, blue (ITU-R BT.601), as torchvision weighs them."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How far training images may be varied."""

    enabled: bool = True
    """If not, each image's central square is used, resized."""
    rotation: float = 15.0
    """Largest rotation either way, in degrees."""
    flip: bool = True
    """Mirror every other image, left to right."""
    color_jitter: float = 0.2
    """Largest relative change of brightness, contrast and saturation, 0..1."""
    min_crop: float = 0.5
    """Smallest area of a crop, as a share of the image, above 0."""
    trivial: bool = False
    """TrivialAugment in the place of rotation and colour jitter."""
    erasing: float = 0.0
    """Probability that a rectangle is erased."""
    mixup: float = 0.0
    """Parameter of the Beta distribution by which images are blended; 0 is off."""
    cutmix: float = 0.0
    """The same for images that are pasted into others."""


def augment_of(config: TrainConfig) -> AugmentConfig:
    """How training images are varied."""
    return AugmentConfig(
        enabled=config.augment,
        rotation=config.rotation,
        flip=config.flip,
        color_jitter=config.color_jitter,
        min_crop=config.min_crop,
        trivial=config.trivial_augment,
        erasing=config.erasing,
        mixup=config.mixup,
        cutmix=config.cutmix,
    )


@dataclass(frozen=True)
class Parameters:
    """What was drawn for N images."""

    affine: np.ndarray
    """float64 [N, 2, 3]: from output pixel (column, row, 1) to image pixel (x, y), both counted
    from the centre of the upper left one."""
    jitter: np.ndarray
    """float32 [N, 3]: factors of brightness, contrast and saturation."""
    heights: np.ndarray
    """int64 [N]: the images' own pixels, without the canvas's padding."""
    widths: np.ndarray
    trivial: Trivial | None = None
    """What TrivialAugment drew; its warps and factors are in `affine` and `jitter` already."""
    erased: np.ndarray | None = None
    """int64 [N, 4]: top, left, bottom, right of what is to be erased once normalised."""

    def of(self, rows: np.ndarray) -> "Parameters":
        """Those of some of the images, by their numbers."""
        return Parameters(
            self.affine[rows],
            self.jitter[rows],
            self.heights[rows],
            self.widths[rows],
            self.trivial and self.trivial.of(rows),
            None if self.erased is None else self.erased[rows],
        )


def draw(
    config: AugmentConfig,
    *,
    seed: int,
    epoch: int,
    samples: np.ndarray,
    heights: np.ndarray,
    widths: np.ndarray,
    size: int,
) -> Parameters:
    """Draw for samples int64 [N] of heights and widths [N] in pixels, for outputs of `size`.

    Each sample's numbers depend on (seed, epoch, sample) alone, not on its batch.
    """
    if not config.enabled:
        side = np.minimum(heights, widths).astype(np.float64)
        centre = np.stack([widths, heights], axis=1) / 2
        boxes = np.stack([side, side], axis=1)
        still = np.zeros(len(samples))
        affine = affine_maps(centre, boxes, still, still > 0, size)
        return Parameters(affine, np.ones((len(samples), 3), np.float32), heights, widths)
    u = uniforms(seed, epoch, samples, 7 + 2 * TRIES)
    centre, boxes = crops(u, heights, widths, config.min_crop)
    mirrored = (u[:, FLIP] < 0.5) & config.flip
    trivial = None
    if config.trivial:
        trivial = draw_trivial(uniforms(seed, epoch, samples, TRIVIAL_COLUMNS, TRIVIAL))
        plain = affine_maps(centre, boxes, np.zeros(len(u)), mirrored, size)
        affine, factors = after(plain, warps(trivial, size)), jitters(trivial)
    else:
        angle = np.radians(config.rotation) * (2 * u[:, ROTATION] - 1)
        affine = affine_maps(centre, boxes, angle, mirrored, size)
        factors = 1 + config.color_jitter * (2 * u[:, BRIGHTNESS : SATURATION + 1] - 1)
    erased = None
    if config.erasing:
        places = uniforms(seed, epoch, samples, ERASING_COLUMNS, ERASING)
        erased = draw_boxes(places, config.erasing, size)
    return Parameters(affine, factors.astype(np.float32), heights, widths, trivial, erased)


def crops(
    u: np.ndarray, heights: np.ndarray, widths: np.ndarray, min_crop: float
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (x, y) and sizes (w, h) of random resized crops, in pixels, float64 [N, 2] each.

    Szegedy et al. 2015, in torchvision's form: ten tries of an area and a log-uniform aspect,
    the first that fits is placed anywhere; if none fits, the largest central crop of an allowed
    aspect. Sizes and places are not rounded to pixels: the crop is resampled anyway.
    """
    full = np.stack([widths, heights], axis=1).astype(np.float64)
    areas = min_crop + (1 - min_crop) * u[:, 7 : 7 + TRIES]
    aspects = MIN_ASPECT * (MAX_ASPECT / MIN_ASPECT) ** u[:, 7 + TRIES : 7 + 2 * TRIES]
    areas = areas * full.prod(1)[:, None]
    tries = np.stack([np.sqrt(areas * aspects), np.sqrt(areas / aspects)], axis=2)  # [N, T, 2]
    fits = np.all(tries <= full[:, None], axis=2)
    aspect = (full[:, 0] / full[:, 1]).clip(MIN_ASPECT, MAX_ASPECT)
    central = np.minimum(full, np.stack([full[:, 1] * aspect, full[:, 0] / aspect], axis=1))
    fitting = np.any(fits, axis=1, keepdims=True)
    chosen = tries[np.arange(len(u)), fits.argmax(1)]
    boxes = np.where(fitting, chosen, central)
    share = np.where(fitting, u[:, ACROSS : DOWN + 1], 0.5)
    return boxes / 2 + share * (full - boxes), boxes


def affine_maps(
    centre: np.ndarray, boxes: np.ndarray, angle: np.ndarray, mirrored: np.ndarray, size: int
) -> np.ndarray:
    """Maps that fill the output with boxes [N, 2] (w, h) turned by `angle` about their centres.

    The box is turned in the image, so a crop of another aspect is stretched but not sheared.
    """
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    scale = boxes / size
    scale[:, 0] *= np.where(mirrored, -1, 1)
    linear = turn.transpose(2, 0, 1) * scale[:, None, :]
    shift = centre - 0.5 - linear.sum(2) * (size - 1) / 2
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def after(affine: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """The maps [N, 2, 3] that warp an output pixel first and then find it in the image."""
    linear = affine[:, :, :2] @ warp[:, :, :2]
    shift = affine[:, :, :2] @ warp[:, :, 2:] + affine[:, :, 2:]
    return np.concatenate([linear, shift], axis=2)


def apply(source: Tensor | Table, parameters: Parameters, size: int) -> Tensor:
    """Augmented images, float32 [N, 3, size, size] in 0..1, on the source's device.

    source: a canvas uint8 [N, H, W, 3]; image i lies in its upper left heights[i] x widths[i]
    corner and nothing is read of the rest. Or a table of the images.
    """
    parts = list(passes(source, parameters.affine, size))
    if len(parts) == 1:
        return vary(source, parameters, size)
    device = source.flat.device if isinstance(source, Table) else source.device
    out = torch.empty((len(parameters.affine), 3, size, size), device=device)
    for rows in parts:
        out[sent(rows, device)] = vary(some_of(source, rows), parameters.of(rows), size)
    return out


def apply_packed(flat: Tensor, packed: "Packed", parameters: Parameters, size: int) -> Tensor:
    """The same by data/kernel.py, of the bytes of all images, uint8 [bytes], on their device."""
    from lacewing.data import kernel  # with Triton, which only GPUs have a use for

    images = kernel.vary(flat, packed, size)
    return images if parameters.trivial is None else retouch(images, parameters.trivial)


def vary(source: Tensor | Table, parameters: Parameters, size: int) -> Tensor:
    """The same, all images at once."""
    images = resample(source, parameters.affine, parameters.heights, parameters.widths, size)
    if (parameters.jitter != 1).any():
        images = jitter(images, sent(parameters.jitter, images))
    return images if parameters.trivial is None else retouch(images, parameters.trivial)


def jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Brightness, contrast and saturation by factors float32 [N, 3], in place, as torchvision's.

    images: float32 [N, 3, S, S] in 0..1. Contrast is about the mean of the grey image.
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    images.mul_(brightness).clamp_(0, 1)
    # a dimension at a time: the sum's order, and so its last bit, depends on no number of threads
    mean = grey(images).mean(3, keepdim=True).mean(2, keepdim=True)
    images.mul_(contrast).add_(mean * (1 - contrast)).clamp_(0, 1)
    pale = grey(images).mul_(1 - saturation)
    return images.mul_(saturation).add_(pale).clamp_(0, 1)


def grey(images: Tensor) -> Tensor:
    """The luma of images [N, 3, S, S], as [N, 1, S, S]."""
    red, green, blue = images.split(1, dim=1)
    return (red * GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])
