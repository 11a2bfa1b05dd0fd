"""The images that an export is checked on, and those that it is calibrated with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lacewing.data.ahead import ahead
from lacewing.data.index import ImageIndex
from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.predict import read_square
from lacewing.errors import DataError
from lacewing.store.run import Run

COUNT = 100
"""Images to compare on, and images to calibrate with, at most."""


@dataclass(frozen=True)
class Pictures:
    """Preprocessed images and what is known of them."""

    squares: np.ndarray
    """uint8 [n, S, S, 3]."""
    labels: np.ndarray | None
    """int64 [n]; None where the pictures are made up."""
    origin: str
    """What to call them: "images of the val split"."""


def checking_pictures(run: Run, preprocessing: Preprocessing, threads: int) -> Pictures:
    """Up to COUNT validation images, or else test images, or else made-up pictures.

    A run may have been moved to a machine without its images; the comparison of two forms
    of a network then still shows whether they compute the same.
    """
    for split in ("val", "test") if run.index.is_file() else ():
        found = read_split(ImageIndex.load(run.index), split, preprocessing, threads)
        if len(found.squares):
            return found
    return Pictures(made_up(preprocessing.image_size), None, "made-up pictures")


def training_squares(run: Run, preprocessing: Preprocessing, threads: int) -> np.ndarray:
    """Up to COUNT training images, uint8 [n, S, S, 3]. Raises DataError if there are none."""
    index = ImageIndex.load(run.index)
    squares = read_split(index, "train", preprocessing, threads).squares
    if not len(squares):
        raise DataError(
            f"Calibration needs the run's training images, and none of them can be read below "
            f"{index.root}: put them back there, or export to a format without calibration."
        )
    return squares


def read_split(
    index: ImageIndex, split: str, preprocessing: Preprocessing, threads: int
) -> Pictures:
    """Images spread evenly over a split; those that can't be read are passed over."""
    part = index.split(split)
    # a split is sorted by class, so even steps take every class in proportion
    rows = np.unique(np.linspace(0, len(part) - 1, min(COUNT, len(part))).round().astype(np.int64))
    part = part.take(rows) if len(part) else part
    paths = [Path(path) for path in part.paths()]
    read = list(ahead(paths, lambda path: read_square(path, preprocessing), threads, prefetch=8))
    kept = [row for row, square in enumerate(read) if not isinstance(square, str)]
    size = preprocessing.image_size
    squares = [square for square in read if not isinstance(square, str)]
    return Pictures(
        np.stack(squares) if squares else np.empty((0, size, size, 3), np.uint8),
        part.column("label").astype(np.int64)[kept],
        f"images of the {split} split",
    )


def made_up(size: int, count: int = 32) -> np.ndarray:
    """Smooth random pictures, uint8 [count, size, size, 3]; the same on every call."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    enlarged = [Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC)
                for one in coarse]  # fmt: skip
    return np.stack([np.asarray(one) for one in enlarged])
