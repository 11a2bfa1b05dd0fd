"""ImageIndex: which images there are, as an Arrow table with one row per readable image."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lacewing.errors import DataError
from lacewing.store.atomic import replacing

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
METADATA_KEY = b"lacewing.index"
VERSION = 1


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
        return replace(self, table=self.table.filter(pc.field("split") == name))

    def take(self, rows: np.ndarray) -> "ImageIndex":
        """Some rows, in the given order."""
        return replace(self, table=self.table.take(pa.array(rows)))

    def counts(self, split: str) -> np.ndarray:
        """Images per class in one split, int64 [classes]."""
        labels = self.split(split).column("label")
        return np.bincount(labels, minlength=len(self.classes))

    def fingerprint(self) -> str:
        """A hash over path, label, split and content of every row, in their order, hex."""
        digest = blake2b(digest_size=16)
        columns = [
            self.table.column(name).to_pylist() for name in ("path", "label", "split", "hash")
        ]
        for row in zip(*columns, strict=True):
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """What dataset.json says of the data, as plain values."""
        counts = {split: self.counts(split).tolist() for split in SPLITS}
        return {
            "name": self.name,
            "root": str(self.root),
            "layout": self.layout,
            "images": {split: sum(counts[split]) for split in SPLITS},
            "classes": [
                {
                    "name": name,
                    **({"id": self.class_ids[label]} if self.class_ids else {}),
                    **{split: counts[split][label] for split in SPLITS},
                }
                for label, name in enumerate(self.classes)
            ],
            "excluded": [asdict(excluded) for excluded in self.excluded],
            "excluded_reasons": dict(Counter(one.reason for one in self.excluded).most_common()),
            "notes": list(self.notes),
            "fingerprint": self.fingerprint(),
        }

    def save(self, path: Path) -> None:
        """Write one Arrow file: the table, with everything else as JSON in its metadata."""
        extra = {name: getattr(self, name) for name in _SAVED}
        extra |= {"root": str(self.root), "excluded": [asdict(one) for one in self.excluded]}
        metadata = {METADATA_KEY: json.dumps({"version": VERSION, **extra})}
        table = self.table.replace_schema_metadata(metadata)
        with (
            replacing(path) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as writer,
        ):
            writer.write_table(table)

    @classmethod
    def load(cls, path: Path) -> "ImageIndex":
        """What `save` wrote. Raises DataError if the file is missing, damaged or another."""
        try:
            with pa.OSFile(str(path), "rb") as source:
                table = pa.ipc.open_file(source).read_all()
            table.validate(full=True)
            extra = json.loads((table.schema.metadata or {})[METADATA_KEY])
            if extra.pop("version") != VERSION:
                raise ValueError("it was written by another version")
            table = table.replace_schema_metadata(None).cast(SCHEMA)
            return cls(table=table, **_restored(extra))
        except FileNotFoundError:
            raise DataError(f"There is no image index {path}.") from None
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise DataError(
                f"The image index {path} can't be read ({str(error)[:120]}): make it again from "
                "the images."
            ) from None


_SAVED = ("root", "classes", "name", "layout", "class_ids", "excluded", "notes", "details")


def _restored(extra: dict[str, Any]) -> dict[str, Any]:
    return extra | {
        "root": Path(extra["root"]),
        "classes": tuple(extra["classes"]),
        "class_ids": tuple(extra["class_ids"]),
        "notes": tuple(extra["notes"]),
        "excluded": tuple(Excluded(**one) for one in extra["excluded"]),
    }
