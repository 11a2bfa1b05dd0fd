"""The images of validation, test and prediction, in their order."""

import copy
import math
from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from lacewing.data.ahead import ahead
from lacewing.data.batch import Batch, Loading, as_tensor, normalisation, normalised, to_float
from lacewing.data.index import ImageIndex
from lacewing.data.pixels import PixelStore, central_square
from lacewing.data.sent import moved, sent
from lacewing.hardware.ranks import ALONE, Ranks

PIECE = 64
"""Images that a thread decodes at once: a small split in large batches has work for several."""


def in_parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """The rows, so many at a time."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


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
        learnt: bool = False,
    ) -> None:
        """learnt: whether something is fitted to the images, of which few may then be lost."""
        self.batch_size = batch_size
        self._own = ranks.part(len(index))
        self._store = store
        self._get = store.get if learnt else store.get_judged
        self._loading = loading
        self._labels = index.column("label").astype(np.int64)
        self._scale = normalisation(store.preprocessing, loading.device)

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
        return self.batches()

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """This process's batches, from an image of its part of the split on."""
        rows = np.array(self._own[start:], np.int64)
        parts = in_parts(rows, self.batch_size)
        pieces = [in_parts(part, PIECE) for part in parts]
        squares = ahead(
            chain.from_iterable(pieces),
            self._squares,
            self._loading.workers,
            self._loading.prefetch,
        )
        for part, own in zip(parts, pieces, strict=True):
            pixels = [moved(made, self._loading.device) for _, made in zip(own, squares)]  # noqa: B905
            images = to_float(pixels[0] if len(pixels) == 1 else torch.cat(pixels))
            labels = sent(self._labels[part], self._loading.device)
            yield Batch(normalised(images, self._scale), labels, part)

    def _squares(self, rows: np.ndarray) -> Tensor:
        size = self._store.preprocessing.image_size
        squares = [central_square(self._get(int(row)), size) for row in rows]
        return as_tensor(np.stack(squares), self._loading.pin_memory)
