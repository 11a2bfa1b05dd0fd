"""Training batches on their way to the device: decoded ahead by threads, varied where it pays.

What the CPU augments the threads augment too, so that neither is waited for.

Threads, not processes: decoding, resizing and augmenting release Python's lock, and a thread
needs no shared memory, no pickling and no start-up, and can't be killed on its own
(docs/decisions/0002-threads-load.md).
"""

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from torch import Tensor

from lacewing.data.ahead import ahead
from lacewing.data.augment import AugmentConfig, Parameters, apply, apply_packed, draw
from lacewing.data.balance import balanced_order, distinct
from lacewing.data.batch import (
    Batch,
    Loading,
    as_tensor,
    normalisation,
    normalised,
    on_canvas,
    pinned,
)
from lacewing.data.device_pixels import DevicePixels
from lacewing.data.erasing import erase
from lacewing.data.index import ImageIndex
from lacewing.data.mixing import Mixture, draw_mixture, mix
from lacewing.data.pixels import PixelStore
from lacewing.data.resample import Table, lie_on
from lacewing.data.sent import moved, moved_aside, sent
from lacewing.hardware.ranks import ALONE, Ranks

if TYPE_CHECKING:
    from lacewing.data.kernel import Packed

Item = TypeVar("Item")


@dataclass(frozen=True)
class Prepared:
    """A training batch before it goes to the device."""

    rows: np.ndarray
    pixels: Tensor | list[tuple[int, Tensor]]
    """A canvas uint8 [N, H, W, 3], as `apply` takes it; or, where pixels are kept on the device,
    those of the rows that are not yet there."""
    parameters: Parameters
    packed: "Packed | None"
    """The parameters as data/kernel.py takes them, if it varies the images."""
    mixture: Mixture | None
    size: int
    """Side of the varied images, in pixels."""


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
        """Replaced by what changes how batches are prepared; an epoch under way goes on by it."""
        self._ranks = ranks
        self._mixes = augment.enabled and bool(augment.mixup or augment.cutmix)
        self._classes = len(index.classes)
        self._labels = index.column("label").astype(np.int64)
        self._scale = normalisation(store.preprocessing, loading.augment_device)
        self._resident: DevicePixels | None = None
        """Made with the first epoch: a recipe's feature pass needs no such memory."""

    def epoch(self, epoch: int, start_step: int = 0) -> Generator[Batch, None, None]:
        """The epoch's batches from `start_step` on; the same however they are loaded."""
        step = start_step
        while step < self.steps_per_epoch:
            loading = self.loading
            with contextlib.closing(self._loaded(epoch, step)) as batches:
                for batch in batches:
                    step += 1
                    yield batch
                    if self.loading is not loading:
                        break

    def _loaded(self, epoch: int, start_step: int) -> Generator[Batch, None, None]:
        """The epoch's batches from `start_step` on, by the loading of this moment."""
        if self.is_on_device and self._resident is None:
            self._resident = DevicePixels(self._store.shapes, self.loading.augment_device)
        rows = balanced_order(self._seed, epoch, self._labels, self._balance)
        samples = distinct(rows, len(self._labels))
        size = self.batch_size
        steps = (
            self._own(samples[s * size : (s + 1) * size])
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

    @property
    def is_on_device(self) -> bool:
        """Whether pixels are kept in the device's memory."""
        return self._store.keep == "device"

    def let_go(self) -> None:
        """Free what is kept in the device's memory; an epoch asked for takes it again."""
        if self._resident is not None:
            self._resident.let_go()
        self._resident = None

    def keep_pixels(self, keep: str) -> None:
        """Keep pixels elsewhere from the next batch on, see `open_kept`: each is decoded anew."""
        self._store.move(keep)
        self.let_go()
        self.loading = replace(self.loading)

    def _own(self, batch: np.ndarray) -> np.ndarray:
        """This process's samples of a batch; before them the one that the first is mixed with."""
        part = self._ranks.part(len(batch))
        if self._has_neighbour:
            return batch[np.arange(part.start - 1, part.stop)]  # before the first is the last
        return batch[part.start : part.stop]

    @property
    def _varies_ahead(self) -> bool:
        return not self.is_on_device and self.loading.augment_device.type == "cpu"

    @property
    def _has_neighbour(self) -> bool:
        return self._mixes and self._ranks.world > 1

    def _prepare(self, epoch: int, samples: np.ndarray) -> Prepared:
        rows = samples % len(self._labels)
        resident = self._resident  # asked once: another thread may give it up
        pixels, heights, widths = self._pixels(rows, resident)
        size = self.side(epoch)
        augment, seed = self._augment, self._seed
        parameters = draw(
            augment,
            seed=seed,
            epoch=epoch,
            samples=samples,
            heights=heights,
            widths=widths,
            size=size,
        )
        mixture = None
        if self._mixes:
            mixture = draw_mixture(
                augment.mixup, augment.cutmix, seed=seed, epoch=epoch, samples=samples, size=size
            )
        packed = None
        if self.loading.by_kernel:
            packed = self._packed(self._places(rows, pixels, resident), parameters, size)
        return Prepared(rows, pixels, parameters, packed, mixture, size)

    def _places(
        self,
        rows: np.ndarray,
        pixels: Tensor | list[tuple[int, Tensor]],
        resident: DevicePixels | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the rows' images begin, and pixels from row to row: int64 [N]."""
        if isinstance(pixels, Tensor):
            return lie_on(pixels)
        assert resident is not None
        table = resident.table(rows)
        return table.starts, table.widths

    def _packed(
        self, places: tuple[np.ndarray, np.ndarray], parameters: Parameters, size: int
    ) -> "Packed":
        from lacewing.data import kernel  # with Triton, which only GPUs have a use for

        packed = kernel.pack(parameters, *places, size)
        return replace(packed, buffer=pinned(packed.buffer, self.loading.pin_memory))

    def _pixels(
        self, rows: np.ndarray, resident: DevicePixels | None
    ) -> tuple[Tensor | list[tuple[int, Tensor]], np.ndarray, np.ndarray]:
        """What has to go to the device for these rows; the images' heights and widths."""
        pin = self.loading.pin_memory and not self._varies_ahead
        if resident is not None:
            fresh = {int(row): self._store.get(int(row)) for row in resident.missing(rows)}
            if all(resident.fits(row, pixels) for row, pixels in fresh.items()):
                heights, widths = resident.shapes[rows].T
                # a copy: what the decoder gives can't be written to, of which torch warns
                images = [(row, as_tensor(one.copy(), pin)) for row, one in fresh.items()]
                return images, heights, widths
        # a replaced file's image may have any size
        canvas, heights, widths = on_canvas([self._store.get(int(row)) for row in rows])
        return as_tensor(canvas, pin), heights, widths

    def _varied(self, epoch: int, samples: np.ndarray) -> Batch:
        """A batch as it will be used, made in RAM."""
        batch = self._vary(self._prepare(epoch, samples))
        pin = self.loading.pin_memory
        return replace(batch, images=pinned(batch.images, pin), labels=pinned(batch.labels, pin))

    def _vary(self, batch: Prepared) -> Batch:
        """The batch varied, where that is done."""
        there = self.loading.augment_device
        source = self._source(batch)
        if batch.packed is None:
            images = apply(source, batch.parameters, batch.size)
        else:
            flat = source.flat if isinstance(source, Table) else source.flatten()
            packed = replace(batch.packed, buffer=moved(batch.packed.buffer, there))
            images = apply_packed(flat, packed, batch.parameters, batch.size)
        images = normalised(images, self._scale)
        if batch.parameters.erased is not None:
            images = erase(images, batch.parameters.erased)
        rows, labels = batch.rows, sent(self._labels[batch.rows], there)
        if batch.mixture is not None:
            images, labels = mix(images, labels, batch.mixture, self._classes)
        if self._has_neighbour:
            images, labels, rows = images[1:], labels[1:], rows[1:]
        return Batch(images, labels, rows)

    def _on_device(self, batch: Batch) -> Batch:
        device = self.loading.device
        return Batch(moved_aside(batch.images, device), moved(batch.labels, device), batch.rows)

    def _source(self, batch: Prepared) -> Tensor | Table:
        """The batch's pixels where they are varied."""
        if isinstance(batch.pixels, Tensor):
            return moved_aside(batch.pixels, self.loading.augment_device)
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
