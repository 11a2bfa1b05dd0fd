"""A batch of images: how it is prepared, and its pixels from bytes to the network's input."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lacewing.data.division import divide
from lacewing.data.preprocess import Preprocessing


@dataclass(frozen=True)
class Batch:
    """Images float32 [N, 3, S, S], normalised, and their labels, both on the device."""

    images: Tensor
    labels: Tensor
    """int64 [N]; of images that are mixed, each class's share, float32 [N, classes]."""
    rows: np.ndarray
    """Rows of the split's index, int64 [N]."""


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How batches are prepared; changes nothing of what is in them."""

    device: torch.device
    augment_device: torch.device
    """Where training images are varied and normalised: the device, or the CPU."""
    by_kernel: bool = False
    """Whether data/kernel.py varies them there; else tensor operations do."""
    workers: int = 0
    """Decoding threads; 0 decodes in the caller's."""
    prefetch: int = 2
    """Batches prepared ahead."""
    pin_memory: bool = False


def on_canvas(images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images uint8 [h, w, 3] on one canvas [N, H, W, 3], each in its upper left; their h and w."""
    heights = np.array([image.shape[0] for image in images])
    widths = np.array([image.shape[1] for image in images])
    canvas = np.zeros((len(images), heights.max(), widths.max(), 3), np.uint8)
    for place, image in zip(canvas, images, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    return canvas, heights, widths


def to_float(pixels: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] in 0..1, channels last in memory."""
    return divide(pixels.permute(0, 3, 1, 2).to(torch.float32), 255.0)


def normalised_squares(squares: np.ndarray, preprocessing: Preprocessing) -> Tensor:
    """uint8 [N, S, S, 3] squares as the network's input, float32 [N, 3, S, S] on the CPU."""
    scale = normalisation(preprocessing, torch.device("cpu"))
    return normalised(to_float(torch.from_numpy(squares)), scale)


def as_tensor(pixels: np.ndarray, pin: bool) -> Tensor:
    """The same bytes, or a copy of them in page-locked memory."""
    return pinned(torch.from_numpy(pixels), pin)


def pinned(tensor: Tensor, pin: bool) -> Tensor:
    """A copy in page-locked memory, from which a GPU reads on its own; or the tensor itself."""
    return tensor.pin_memory() if pin else tensor


def normalisation(preprocessing: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the channels, float32 [1, 3, 1, 1] each, on the device."""
    mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std).view(1, 3, 1, 1)
    return mean.to(device), std.to(device)


def normalised(images: Tensor, scale: tuple[Tensor, Tensor]) -> Tensor:
    """Images float32 [N, 3, H, W] in 0..1, which are written to, by `normalisation`."""
    mean, std = scale
    return images.sub_(mean).div_(std)
