"""Where decoded pixels may be kept: in RAM, in a file (see pixel_file.py), or not at all."""

from typing import Protocol

import numpy as np


class Kept(Protocol):
    """Pixels by row. Safe to use from several threads."""

    def get(self, row: int) -> np.ndarray | None:
        """The row's pixels, uint8 [height, width, 3], not to be written to; None if not kept."""

    def put(self, row: int, pixels: np.ndarray) -> None:
        """Keep a row's pixels, uint8 [height, width, 3], if it can be."""


class NoPixels:
    """Keeps nothing."""

    def get(self, row: int) -> None:
        """Nothing."""

    def put(self, row: int, pixels: np.ndarray) -> None:
        """Nothing is kept."""


class RamPixels:
    """Keeps every row in one array in RAM."""

    def __init__(self, shapes: np.ndarray) -> None:
        """shapes: int64 [rows, 2], height and width in pixels."""
        self._shapes = shapes
        self._ends = np.cumsum(3 * shapes.prod(1))
        # untouched pages of it take no memory: it fills as images are decoded
        self._pixels = np.empty(int(self._ends[-1]) if len(shapes) else 0, np.uint8)
        self._is_kept = np.zeros(len(shapes), bool)

    def get(self, row: int) -> np.ndarray | None:
        """The row's pixels, a view; None if they are not here yet."""
        return self._place(row) if self._is_kept[row] else None

    def put(self, row: int, pixels: np.ndarray) -> None:
        """Keep the row, unless its shape is another: then the file was replaced since the scan."""
        if pixels.shape[:2] == tuple(self._shapes[row]):
            self._place(row)[:] = pixels
            self._is_kept[row] = True

    def _place(self, row: int) -> np.ndarray:
        height, width = self._shapes[row]
        end = self._ends[row]
        return self._pixels[end - 3 * height * width : end].reshape(height, width, 3)
