"""ImageIndex: which images there are, as an Arrow table with one row per readable image."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # relative to the root, with forward slashes
        ("label", pa.int32()),  # position in ImageIndex.classes
        ("split", pa.string()),  # train, val or test
        ("width", pa.int32()),  # pixels, after EXIF rotation
        ("height", pa.int32()),
        ("bytes", pa.int64()),  # size of the file
        ("hash", pa.string()),  # content hash of the file, hex
        ("dhash", pa.uint64()),  # perceptual difference hash, see data/dhash.py
    ]
)
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Excluded:
    """A file that was found and left out."""

    path: str
    reason: str


@dataclass(frozen=True)
class ImageIndex:
    """Images by row. `root` is where the paths start; `classes[label]` is a class's name."""

    root: Path
    table: pa.Table
    classes: tuple[str, ...]
    name: str
    """What to call the data set in a run's name: the last part of its path, or IP102."""
    layout: str
    """What was recognised, a sentence: "split folders (train, valid, test)"."""
    class_ids: tuple[str, ...] = ()
    """The data set's own id of each class (IP102's number) where it has one, else ()."""
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[str, ...] = ()
    """What the user should know: splits that were made, names that were disambiguated."""
    details: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> np.ndarray:
        """One column as a numpy array [rows]."""
        return self.table.column(name).to_numpy(zero_copy_only=False)

    def paths(self) -> list[str]:
        """Absolute paths [rows]."""
        return [str(self.root / path) for path in self.table.column("path").to_pylist()]

    def split(self, name: str) -> "ImageIndex":
        """The rows of one split, in their order."""
        return replace(self, table=self.table.filter(pa.compute.field("split") == name))

    def take(self, rows: np.ndarray) -> "ImageIndex":
        """Some rows, in the given order."""
        return replace(self, table=self.table.take(pa.array(rows)))

    def counts(self, split: str) -> np.ndarray:
        """Images per class in one split, int64 [classes]."""
        labels = self.split(split).column("label")
        return np.bincount(labels, minlength=len(self.classes))
