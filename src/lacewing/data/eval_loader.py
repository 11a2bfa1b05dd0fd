"""The images of validation, test and prediction, in their order."""

import copy
import math
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from lacewing.data.ahead import ahead
from lacewing.data.batch import Batch, Loading, as_tensor, normalisation, normalised, to_float
from lacewing.data.index import ImageIndex
from lacewing.data.pixels import PixelStore, central_square
from lacewing.data.sent import moved, sent
from lacewing.hardware.ranks import ALONE, Ranks


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
        rows = np.array(self._own, np.int64)
        parts = [rows[s : s + self.batch_size] for s in range(0, len(rows), self.batch_size)]
        squares = ahead(parts, self._squares, self._loading.workers, self._loading.prefetch)
        for part, pixels in zip(parts, squares, strict=True):
            images = to_float(moved(pixels, self._loading.device))
            labels = sent(self._labels[part], self._loading.device)
            yield Batch(normalised(images, self._scale), labels, part)

    def _squares(self, rows: np.ndarray) -> Tensor:
        size = self._store.preprocessing.image_size
        squares = [central_square(self._store.get(int(row)), size) for row in rows]
        return as_tensor(np.stack(squares), self._loading.pin_memory)
