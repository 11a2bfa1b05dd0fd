"""How many images of an index earlier runs have left on the disk, decoded."""

import contextlib
from pathlib import Path

import numpy as np

from lacewing.data.cache import cache_folder
from lacewing.data.index import ImageIndex
from lacewing.data.pixel_table import read_table, rows_elsewhere
from lacewing.data.pixels import pixel_key
from lacewing.data.preprocess import Preprocessing


def missing_share(
    index: ImageIndex, preprocessing: Preprocessing, cache_dir: Path | None = None
) -> float:
    """The share of the images that a run which keeps pixels on the disk has yet to decode.

    Their own file is looked at and those that it may copy from; none is made. `cache_dir` is
    `cache_folder()` by default.
    """
    folder = (cache_folder() if cache_dir is None else cache_dir) / "pixels"
    contents = index.table.column("hash").to_pylist()
    path = folder / f"{pixel_key(contents, preprocessing)}.u8"
    missing = np.ones(len(contents), bool)
    # not there yet, or damaged: then it is made anew
    with contextlib.suppress(OSError, ValueError, IndexError):
        missing &= read_table(path)["mark"] == 0
    copied = rows_elsewhere(path, contents, missing)
    return (np.count_nonzero(missing) - len(copied)) / max(1, len(contents))
