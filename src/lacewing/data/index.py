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
from lacewing.parsing import parse_json
from lacewing.store.atomic import replacing
from lacewing.values import MIB

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
HASHED = ("path", "label", "split", "hash")
"""Columns of which the fingerprint is made."""
MAPPED_BYTES = 64 * MIB
"""A larger index file is mapped into memory instead of read: its rows are loaded when used."""
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

    def path(self, row: int) -> str:
        """The absolute path of one row."""
        return str(self.root / self.table.column("path")[row].as_py())

    def paths(self) -> list[str]:
        """Absolute paths [rows], a Python string each: ask a large index for single ones."""
        return [str(self.root / path) for path in self.table.column("path").to_pylist()]

    def split(self, name: str) -> "ImageIndex":
        """The rows of one split, in their order; of rows that lie together, without a copy."""
        return replace(self, table=_rows_where(self.table, pc.equal(self.table["split"], name)))

    def without(self, split: str) -> "ImageIndex":
        """The rows of the other splits."""
        others = pc.not_equal(self.table["split"], split)
        return replace(self, table=_rows_where(self.table, others))

    def take(self, rows: np.ndarray) -> "ImageIndex":
        """Some rows, in the given order."""
        return replace(self, table=self.table.take(pa.array(rows)))

    def counts(self, split: str) -> np.ndarray:
        """Images per class in one split, int64 [classes]."""
        labels = self.table["label"].filter(pc.equal(self.table["split"], split))
        return np.bincount(labels.to_numpy(), minlength=len(self.classes))

    def fingerprint(self) -> str:
        """A hash over path, label, split and content of every row, in their order, hex."""
        digest = blake2b(digest_size=16)
        for name in HASHED:
            digest.update(_column_hash(self.table[name]))
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
            **({"whole": self.details["whole"]} if "whole" in self.details else {}),
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
            table = _open_table(path)
            extra = parse_json((table.schema.metadata or {})[METADATA_KEY])
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


def _open_table(path: Path) -> pa.Table:
    """The table in a file. A small one is read and checked to the last byte."""
    if path.stat().st_size >= MAPPED_BYTES:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate()
        return table
    with pa.OSFile(str(path), "rb") as source:
        table = pa.ipc.open_file(source).read_all()
    table.validate(full=True)
    return table


def _rows_where(table: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    """Rows by a mask: a view if they lie together, as the splits of split folders do."""
    wanted = mask.fill_null(False).to_numpy()
    count = int(wanted.sum())
    first = int(wanted.argmax()) if count else 0
    together = wanted[first : first + count].all()
    return table.slice(first, count) if together else table.filter(mask)


def _column_hash(column: pa.ChunkedArray) -> bytes:
    """A hash over a column's values, however the table is cut into chunks; null is "" or -1."""
    lengths, values = blake2b(digest_size=16), blake2b(digest_size=16)
    for chunk in column.chunks:
        if pa.types.is_string(chunk.type):
            chunk = chunk.fill_null("")
            lengths.update(pc.binary_length(chunk).to_numpy().astype("<i4").tobytes())
            _, starts, text = chunk.buffers()
            first = np.frombuffer(starts, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            values.update(memoryview(text)[first[0] : first[-1]] if text else b"")
        else:
            values.update(chunk.fill_null(-1).to_numpy().astype("<i8").tobytes())
    return lengths.digest() + values.digest()


_SAVED = ("root", "classes", "name", "layout", "class_ids", "excluded", "notes", "details")


def _restored(extra: dict[str, Any]) -> dict[str, Any]:
    return extra | {
        "root": Path(extra["root"]),
        "classes": tuple(extra["classes"]),
        "class_ids": tuple(extra["class_ids"]),
        "notes": tuple(extra["notes"]),
        "excluded": tuple(Excluded(**one) for one in extra["excluded"]),
    }
