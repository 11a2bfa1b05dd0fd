"""Random erasing: a rectangle of a training image becomes the data's mean colour."""

import numpy as np
import torch
from torch import Tensor

from lacewing.data.sent import sent

TRIES = 10
MIN_AREA, MAX_AREA = 0.02, 0.33
"""Share of the image that is erased."""
MIN_ASPECT, MAX_ASPECT = 0.3, 3.3
"""Height of the rectangle by its width."""
WHETHER, DOWN, ACROSS = range(3)
COLUMNS = 3 + 2 * TRIES
"""Numbers that an image takes: these three, then the areas and the aspects of all tries."""


def draw_boxes(u: np.ndarray, probability: float, size: int) -> np.ndarray:
    """Rectangles int64 [N, 4] (top, left, bottom, right) in pixels; zeros where none is erased.

    u: float64 [N, COLUMNS] in [0, 1). Zhong et al., "Random erasing data augmentation", 2020,
    in torchvision's form: the first of ten tries that is smaller than the image, placed anywhere.
    """
    areas = size**2 * (MIN_AREA + (MAX_AREA - MIN_AREA) * u[:, 3 : 3 + TRIES])
    aspects = MIN_ASPECT * (MAX_ASPECT / MIN_ASPECT) ** u[:, 3 + TRIES :]
    tries = np.stack([np.sqrt(areas * aspects), np.sqrt(areas / aspects)], axis=2).round()
    fits = np.all(tries < size, axis=2)
    sides = tries[np.arange(len(u)), fits.argmax(1)]  # [N, 2]: height, width
    corner = np.floor(u[:, DOWN : ACROSS + 1] * (size - sides + 1))
    boxes = np.concatenate([corner, corner + sides], axis=1).astype(np.int64)
    erased = fits.any(1) & (u[:, WHETHER] < probability)
    return np.where(erased[:, None], boxes, 0)


def covered(boxes: np.ndarray, size: int, device: torch.device) -> Tensor:
    """Which pixels lie in boxes int64 [N, 4]: bool [N, 1, size, size] on a device."""
    top, left, bottom, right = sent(boxes, device)[:, :, None].unbind(1)
    line = torch.arange(size, device=device)
    down, across = (line >= top) & (line < bottom), (line >= left) & (line < right)
    return (down[:, :, None] & across[:, None, :]).unsqueeze(1)


def erase(images: Tensor, boxes: np.ndarray) -> Tensor:
    """Normalised images [N, 3, S, S] with 0, the mean colour, in boxes [N, 4]; in place."""
    return images.masked_fill_(covered(boxes, images.shape[-1], images.device), 0.0)
