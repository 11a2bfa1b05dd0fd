"""Batches on their way to the device: decoded ahead by threads, augmented where they are used.

What the CPU augments the threads augment too, so that neither is waited for.

Threads, not processes: decoding, resizing and augmenting release Python's lock, and a thread
needs no shared memory, no pickling and no start-up, and can't be killed on its own
(docs/decisions/0002-threads-load.md).
"""

import copy
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from lacewing.data.ahead import ahead
from lacewing.data.augment import AugmentConfig, Parameters, apply, draw
from lacewing.data.balance import balanced_order
from lacewing.data.device_pixels import DevicePixels
from lacewing.data.erasing import erase
from lacewing.data.index import ImageIndex
from lacewing.data.mixing import Mixture, draw_mixture, mix
from lacewing.data.pixels import PixelStore, central_square
from lacewing.data.preprocess import Preprocessing
from lacewing.data.resample import Table
from lacewing.hardware.ranks import ALONE, Ranks

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """Images float32 [N, 3, S, S], normalised, and their labels, both on the device."""

    images: Tensor
    labels: Tensor
    """int64 [N]; of images that are mixed, each class's share, float32 [N, classes]."""
    rows: np.ndarray
    """Rows of the split's index, int64 [N]."""


@dataclass(frozen=True)
class Prepared:
    """A training batch before it goes to the device."""

    rows: np.ndarray
    pixels: Tensor | list[tuple[int, Tensor]]
    """A canvas uint8 [N, H, W, 3], as `apply` takes it; or, where pixels are kept on the device,
    those of the rows that are not yet there."""
    parameters: Parameters
    mixture: Mixture | None
    size: int
    """Side of the varied images, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How batches are prepared; changes nothing of what is in them."""

    device: torch.device
    augment_device: torch.device
    """Where training images are varied and normalised: the device, or the CPU."""
    workers: int = 0
    """Decoding threads; 0 decodes in the caller's."""
    prefetch: int = 2
    """Batches prepared ahead."""
    pin_memory: bool = False


class TrainLoader:
    """The training split, shuffled anew each epoch; every image once, the last odd ones not.

    With a `balance` above 0 images of rare classes come more often: see `balanced_order`.
    Of several processes each gets its part of every batch, so all of them see the batches of one.
    """

    def __init__(
        self,
        index: ImageIndex,
        store: PixelStore,
        augment: AugmentConfig,
        *,
        batch_size: int,
        seed: int,
        loading: Loading,
        ranks: Ranks = ALONE,
        balance: float = 0.0,
        sides: tuple[int, ...] = (),
    ) -> None:
        """sides: of the images in each epoch, in pixels, where they are not the store's own."""
        self.batch_size = min(batch_size, len(index))
        """Images of a step, in all processes."""
        self.steps_per_epoch = len(index) // self.batch_size
        self.wait_seconds = 0.0
        """Seconds for which the training step had to wait for images, in all."""
        self._store = store
        self._augment = augment
        self._seed = seed
        self._balance = balance
        self._sides = sides
        self.loading = loading
        """Replaced by `use_workers`: epochs that are under way stay as they are."""
        self._ranks = ranks
        self._mixes = augment.enabled and bool(augment.mixup or augment.cutmix)
        self._classes = len(index.classes)
        self._labels = torch.from_numpy(index.column("label").astype(np.int64))
        self._scale = _normalisation(store.preprocessing, loading.augment_device)
        self._resident: DevicePixels | None = None
        if store.keep == "device":
            self._resident = DevicePixels(store.shapes, loading.augment_device)

    def epoch(self, epoch: int, start_step: int = 0) -> Generator[Batch, None, None]:
        """The epoch's batches from `start_step` on; the same however they are loaded."""
        rows = balanced_order(self._seed, epoch, self._labels.numpy(), self._balance)
        size = self.batch_size
        steps = (
            self._own(rows[s * size : (s + 1) * size])
            for s in range(start_step, self.steps_per_epoch)
        )
        loading = self.loading
        if self._varies_ahead:
            make = partial(self._varied, epoch)
            for batch in self._timed(ahead(steps, make, loading.workers, loading.prefetch)):
                yield self._on_device(batch)
            return
        prepare = partial(self._prepare, epoch)
        for prepared in self._timed(ahead(steps, prepare, loading.workers, loading.prefetch)):
            yield self._on_device(self._vary(prepared))

    def side(self, epoch: int) -> int:
        """Pixels of a side of the epoch's images; beyond the last epoch as in the last."""
        if not self._sides:
            return self._store.preprocessing.image_size
        return self._sides[min(epoch, len(self._sides) - 1)]

    def use_workers(self, workers: int) -> int:
        """Decode in another number of threads in epochs asked for from now on; the old number."""
        old = self.loading.workers
        self.loading = replace(self.loading, workers=workers)
        return old

    def _own(self, batch: np.ndarray) -> np.ndarray:
        """This process's rows of a batch; before them the one that the first is mixed with."""
        part = self._ranks.part(len(batch))
        if self._has_neighbour:
            return batch[np.arange(part.start - 1, part.stop)]  # before the first is the last
        return batch[part.start : part.stop]

    @property
    def _varies_ahead(self) -> bool:
        return self._resident is None and self.loading.augment_device.type == "cpu"

    @property
    def _has_neighbour(self) -> bool:
        return self._mixes and self._ranks.world > 1

    def _prepare(self, epoch: int, rows: np.ndarray) -> Prepared:
        pixels, heights, widths = self._pixels(rows)
        size = self.side(epoch)
        augment, seed = self._augment, self._seed
        parameters = draw(
            augment,
            seed=seed,
            epoch=epoch,
            samples=rows,
            heights=heights,
            widths=widths,
            size=size,
        )
        mixture = None
        if self._mixes:
            mixture = draw_mixture(
                augment.mixup, augment.cutmix, seed=seed, epoch=epoch, samples=rows, size=size
            )
        return Prepared(rows, pixels, parameters, mixture, size)

    def _pixels(
        self, rows: np.ndarray
    ) -> tuple[Tensor | list[tuple[int, Tensor]], np.ndarray, np.ndarray]:
        """What has to go to the device for these rows; the images' heights and widths."""
        pin = self.loading.pin_memory and not self._varies_ahead
        if self._resident is not None:
            fresh = {int(row): self._store.get(int(row)) for row in self._resident.missing(rows)}
            if all(self._resident.fits(row, pixels) for row, pixels in fresh.items()):
                heights, widths = self._resident.shapes[rows].T
                # a copy: what the decoder gives can't be written to, of which torch warns
                images = [(row, _tensor(one.copy(), pin)) for row, one in fresh.items()]
                return images, heights, widths
        # a replaced file's image may have any size
        canvas, heights, widths = on_canvas([self._store.get(int(row)) for row in rows])
        return _tensor(canvas, pin), heights, widths

    def _varied(self, epoch: int, rows: np.ndarray) -> Batch:
        """A batch as it will be used, made in RAM."""
        batch = self._vary(self._prepare(epoch, rows))
        return replace(batch, images=_pinned(batch.images, self.loading.pin_memory))

    def _vary(self, batch: Prepared) -> Batch:
        """The batch varied, where that is done."""
        there = self.loading.augment_device
        images = apply(self._source(batch), batch.parameters, batch.size)
        images = _normalised(images, self._scale)
        if batch.parameters.erased is not None:
            images = erase(images, batch.parameters.erased)
        rows, labels = batch.rows, self._labels[torch.from_numpy(batch.rows)]
        if batch.mixture is not None:
            images, labels = mix(images, labels.to(there), batch.mixture, self._classes)
        if self._has_neighbour:
            images, labels, rows = images[1:], labels[1:], rows[1:]
        return Batch(images, labels, rows)

    def _on_device(self, batch: Batch) -> Batch:
        device = self.loading.device
        images, labels = (
            part.to(device, non_blocking=True) for part in (batch.images, batch.labels)
        )
        return Batch(images, labels, batch.rows)

    def _source(self, batch: Prepared) -> Tensor | Table:
        """The batch's pixels where they are varied."""
        if isinstance(batch.pixels, Tensor):
            return batch.pixels.to(self.loading.augment_device, non_blocking=True)
        assert self._resident is not None
        self._resident.put(batch.pixels)
        return self._resident.table(batch.rows)

    def _timed(self, items: Iterator[Item]) -> Iterator[Item]:
        while True:
            started = time.perf_counter()
            item = next(items, None)
            self.wait_seconds += time.perf_counter() - started
            if item is None:
                return
            yield item


class EvalLoader:
    """A split in its order: the central square of each image, every image exactly once.

    Of several processes each gets a part of the split; the parts follow each other by rank.
    """

    def __init__(
        self,
        index: ImageIndex,
        store: PixelStore,
        *,
        batch_size: int,
        loading: Loading,
        ranks: Ranks = ALONE,
    ) -> None:
        self.batch_size = batch_size
        self._own = ranks.part(len(index))
        self._store = store
        self._loading = loading
        self._labels = torch.from_numpy(index.column("label").astype(np.int64))
        self._scale = _normalisation(store.preprocessing, loading.device)

    def __len__(self) -> int:
        """This process's batches."""
        return math.ceil(len(self._own) / self.batch_size)

    @property
    def images(self) -> int:
        """Images in all processes."""
        return len(self._store)

    def whole(self) -> "EvalLoader":
        """The same with the images of all processes."""
        loader = copy.copy(self)
        loader._own = range(len(self._store))
        return loader

    def __iter__(self) -> Iterator[Batch]:
        rows = np.array(self._own, np.int64)
        parts = [rows[s : s + self.batch_size] for s in range(0, len(rows), self.batch_size)]
        squares = ahead(parts, self._squares, self._loading.workers, self._loading.prefetch)
        for part, pixels in zip(parts, squares, strict=True):
            images = to_float(pixels.to(self._loading.device, non_blocking=True))
            labels = self._labels[torch.from_numpy(part)].to(self._loading.device)
            yield Batch(_normalised(images, self._scale), labels, part)

    def _squares(self, rows: np.ndarray) -> Tensor:
        size = self._store.preprocessing.image_size
        squares = [central_square(self._store.get(int(row)), size) for row in rows]
        return _tensor(np.stack(squares), self._loading.pin_memory)


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
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)


def normalised_squares(squares: np.ndarray, preprocessing: Preprocessing) -> Tensor:
    """uint8 [N, S, S, 3] squares as the network's input, float32 [N, 3, S, S] on the CPU."""
    scale = _normalisation(preprocessing, torch.device("cpu"))
    return _normalised(to_float(torch.from_numpy(squares)), scale)


def _tensor(pixels: np.ndarray, pin: bool) -> Tensor:
    return _pinned(torch.from_numpy(pixels), pin)


def _pinned(tensor: Tensor, pin: bool) -> Tensor:
    return tensor.pin_memory() if pin else tensor


def _normalisation(preprocessing: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std).view(1, 3, 1, 1)
    return mean.to(device), std.to(device)


def _normalised(images: Tensor, scale: tuple[Tensor, Tensor]) -> Tensor:
    mean, std = scale
    return images.sub_(mean).div_(std)
