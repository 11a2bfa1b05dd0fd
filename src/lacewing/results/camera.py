"""Small pictures of judged images, as the network sees them, in the run's evidence folder."""

import time
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from lacewing import console
from lacewing.data.batch import normalised_squares
from lacewing.data.index import ImageIndex
from lacewing.data.pixels import central_square, load_pixels
from lacewing.hardware.backends import is_exhausted
from lacewing.hardware.switches import without_search
from lacewing.results.evaluate import Judge
from lacewing.results.explain import heat_map, overlay
from lacewing.store.run import Run

SIDE = 160
"""Pixels of a picture's side."""
QUALITY = 80
HEAT_SECONDS = 4.0
"""For heat maps: on a slow machine the last mistakes go without, and the run still ends."""


def heat_deadline() -> float:
    """When heat maps that begin now must end, on the clock of `time.perf_counter`."""
    return time.perf_counter() + HEAT_SECONDS


@dataclass
class Camera:
    """Takes pictures of an index's rows; each method gives the picture's file name.

    None where the image can't be read any more, or the time or the memory for heat maps is over.
    """

    run: Run
    judge: Judge
    index: ImageIndex
    heat_until: float = field(default_factory=heat_deadline)
    is_full: bool = False
    """Whether the memory did not hold a heat map: then no other is tried."""

    def picture(self, row: int) -> str | None:
        """What the network saw of a row."""
        square = self._square(row)
        return None if square is None else self._keep(f"{self._name(row)}.jpg", square)

    def heat(self, row: int, label: int) -> str | None:
        """The same under the heat map of a class."""
        square = self._square(row)
        if square is None or self.is_full or time.perf_counter() > self.heat_until:
            return None
        heat = self._heat_map(square, label)
        if heat is None:
            return None
        return self._keep(f"{self._name(row)}-heat.jpg", overlay(square, heat))

    def _heat_map(self, square: np.ndarray, label: int) -> np.ndarray | None:
        """Where a class is seen; None where the memory runs out, which is said."""
        judge = self.judge
        image = normalised_squares(square[None], judge.preprocessing)
        try:
            with without_search():  # of a single image
                return heat_map(judge.model.eval(), image.to(judge.loading.device), label)
        except Exception as error:
            if not is_exhausted(judge.backend, error):
                raise
        # outside the except block: the traceback above held the pass's tensors
        judge.backend.empty_cache()
        self.is_full = True
        console.warn(
            "There is no memory for a heat map, with its gradients: the report lacks some."
        )
        return None

    def _name(self, row: int) -> str:
        return f"{self.index.table.column('split')[row].as_py()}-{row}"

    def _square(self, row: int) -> np.ndarray | None:
        side = self.judge.preprocessing.image_size
        try:
            pixels = load_pixels(self.index.path(row), self.judge.preprocessing)
        except (OSError, ValueError):  # told in the report: the row stands there without picture
            return None
        # a copy: what the decoder gives can't be written to, of which torch warns
        return central_square(pixels, side).copy()

    def _keep(self, name: str, square: np.ndarray) -> str:
        small = Image.fromarray(square).resize((SIDE, SIDE))
        small.save(self.run.evidence_folder / name, "JPEG", quality=QUALITY, optimize=True)
        return name
