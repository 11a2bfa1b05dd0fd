"""A batch of images through their affine maps, anti-aliased."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lacewing.data.division import divide
from lacewing.data.resample.grid import MOST_PIXELS, sample_grid, show
from lacewing.data.resample.places import Places, by_samples, samples
from lacewing.data.resample.table import Table, sample_table, tabulate
from lacewing.data.sent import sent

CACHE_PIXELS = 2**16
"""Output pixels per pass and thread of a CPU: its intermediate results stay in the cache."""
DEVICE_PIXELS = 2**22
"""Output pixels per pass of another device, 83 images of 224 pixels: some 200 MB in between."""


def passes(source: Tensor | Table, affine: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The images to be resampled at once, int64 [M] each, for outputs of `size`.

    On a CPU they need equally many samples and are few. A GPU is given as many as its memory
    will hardly notice.
    """
    if not is_canvas_on_cpu(source):
        at_once = max(1, DEVICE_PIXELS // size**2)
        yield from (np.arange(len(affine))[b : b + at_once] for b in range(0, len(affine), at_once))
        return
    at_once = max(1, torch.get_num_threads() * CACHE_PIXELS // size**2)
    for members in by_samples(affine).values():
        for begin in range(0, len(members), at_once):
            yield members[begin : begin + at_once]


def resample(
    images: Tensor | Table, affine: np.ndarray, heights: np.ndarray, widths: np.ndarray, size: int
) -> Tensor:
    """Each image through its affine map, float32 [N, 3, size, size] in 0..1.

    images: a canvas uint8 [N, H, W, 3], image i its upper left heights[i] x widths[i] pixels; or
    a table.
    affine: float64 [N, 2, 3], from output pixel (column, row, 1) to image pixel (x, y), both
    counted from the centre of the upper left one. Outside the image its border goes on.
    """
    extent = np.stack([widths, heights], axis=1)
    groups = by_samples(affine)
    parts = []
    for (down, across), members in groups.items():
        sample = sampler(some_of(images, members))
        places = samples(affine[members], extent[members], size, down, across)
        parts.append(mean_of(sample, places, down * across))
    if len(parts) == 1:
        return parts[0]
    # the groups lie one after the other: back to the batch's order
    order = np.argsort(np.concatenate(list(groups.values())))
    return torch.cat(parts).index_select(0, sent(order, parts[0]))


def mean_of(sample: Callable[[Places], Tensor], places: Iterator[Places], count: int) -> Tensor:
    """The mean of so many samples per output pixel, in 0..1."""
    total = sample(next(places))
    for others in places:
        total += sample(others)
    return divide(total, 255.0 * count)


def sampler(images: Tensor | Table) -> Callable[[Places], Tensor]:
    """How samples are taken of these images."""
    if isinstance(images, Table):
        return partial(sample_table, images)
    if images.device.type == "cpu" and max(images.shape[1:3]) < MOST_PIXELS:
        return partial(sample_grid, show(images))
    return partial(sample_table, tabulate(images))


def is_canvas_on_cpu(images: Tensor | Table) -> bool:
    """Whether images lie on one canvas in RAM."""
    return isinstance(images, Tensor) and images.device.type == "cpu"


def some_of(images: Tensor | Table, members: np.ndarray) -> Tensor | Table:
    """Some of the images, by their numbers, which ascend."""
    if isinstance(images, Table):
        return images.of(members)
    first, last = int(members[0]), int(members[-1])
    if last - first + 1 == len(members):
        return images[first : last + 1]
    return images.index_select(0, sent(members, images))
