"""Decoded pixels in the device's own memory: after the first epoch no image is copied to it."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from lacewing.data.resample import Table, spare_bytes


class DevicePixels:
    """Pixels by row in one row of bytes on a device, filled as images are decoded."""

    def __init__(self, shapes: np.ndarray, device: torch.device) -> None:
        """shapes: int64 [rows, 2], height and width in pixels. The memory is taken at once."""
        self.shapes = shapes
        lengths = 3 * shapes.prod(1)
        self._starts = np.cumsum(lengths) - lengths
        size = int(lengths.sum()) + spare_bytes(int(shapes[:, 1].max(initial=0)))
        self._flat = torch.zeros(size, dtype=torch.uint8, device=device)
        self._is_here = np.zeros(len(shapes), bool)

    def let_go(self) -> None:
        """Free the memory at once, though a thread may hold this a little longer."""
        self._flat = self._flat.new_empty(0)

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Those of some rows, int64, that have yet to be put here."""
        return rows[~self._is_here[rows]]

    def fits(self, row: int, pixels: np.ndarray) -> bool:
        """Whether pixels [height, width, 3] have the size that was scanned."""
        return pixels.shape[:2] == tuple(self.shapes[row])

    def put(self, images: Iterable[tuple[int, Tensor]]) -> None:
        """Copy rows' pixels, uint8 [height, width, 3], to their places."""
        for row, pixels in images:
            start = int(self._starts[row])
            place = self._flat[start : start + pixels.numel()]
            place.copy_(pixels.flatten(), non_blocking=place.is_cuda)  # see `sent.moved`
            self._is_here[row] = True

    def table(self, rows: np.ndarray) -> Table:
        """Where rows' pixels lie, for `resample`; once they are put here, all of them are there."""
        return Table(self._flat, self._starts[rows], self.shapes[rows, 1])
