"""Scans that were made before, by file: whichever folder, list or table names it next.

There is one Arrow file for each folder that was the deepest one to hold all images of a scan. A
list of some of a folder's images finds them in the folder's own.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from lacewing.store.atomic import replacing

SAVE_SECONDS = 30.0
"""What a kill can cost."""
VERSION = b"3"
SCAN_SCHEMA = pa.schema(
    [
        ("path", pa.binary()),  # as the system spells it: it need not be UTF-8
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("hash", pa.string()),
        ("dhash", pa.uint64()),
    ],
    metadata={"version": VERSION},
)


class ScanRow(NamedTuple):
    """What is known of a file, as long as it has this size and this time of its last change."""

    bytes: int
    mtime_ns: int
    width: int
    height: int
    hash: str
    dhash: int


@dataclass
class Scans:
    """What is known of the files below a folder, by absolute path, and what is new."""

    cache_dir: Path | None
    """None keeps nothing."""
    folder: str
    known: dict[str, ScanRow]
    new: dict[str, ScanRow] = field(default_factory=dict)
    saved_at: float = field(default_factory=time.monotonic)
    lost: bool = False
    """Whether something new could not be saved."""

    def add(self, path: str, row: ScanRow) -> None:
        """Remember a file; now and then all that is new is saved."""
        self.new[path] = row
        if time.monotonic() - self.saved_at >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write down what is new."""
        self.saved_at = time.monotonic()
        if self.cache_dir is None or not self.new:
            return
        try:
            save_scans(self.cache_dir, self.folder, self.new)
        except OSError:  # tried again, and said at the end
            self.lost = True
        else:
            self.new, self.lost = {}, False


def open_scans(cache_dir: Path | None, files: Iterable[str]) -> Scans:
    """What is kept of the files beside some files, which have absolute paths."""
    folder = common_folder(files)
    known = {} if cache_dir is None else load_scans(cache_dir, folder)
    return Scans(cache_dir, folder, known)


def absolute(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """The absolute path of each path, or of its tar file, in a folder that no link leads to."""
    folders: dict[str, str] = {}
    result = {}
    for path in paths:
        file, mark, member = path.partition("::")
        folder, name = os.path.split(file)
        if folder not in folders:
            folders[folder] = os.path.realpath(root / folder)
        result[path] = f"{folders[folder]}{os.sep}{name}{mark}{member}"
    return result


def common_folder(files: Iterable[str]) -> str:
    """The deepest folder that holds all of some files; "" where there is none."""
    try:
        return os.path.commonpath({file.rpartition(os.sep)[0] for file in files})
    except ValueError:  # there are no files, or they lie on two drives of Windows
        return ""


def load_scans(cache_dir: Path, folder: str | Path) -> dict[str, ScanRow]:
    """What is kept for a folder and for those that it lies in."""
    known: dict[str, ScanRow] = {}
    for place in (*reversed(Path(folder).parents), folder):
        known |= read_scans(cache_file(cache_dir, place))
    return known


def read_scans(file: Path) -> dict[str, ScanRow]:
    """What one file keeps; {} if it is not there, or damaged, or of another version."""
    try:
        with pa.memory_map(str(file)) as source:
            table = pa.ipc.open_file(source).read_all()
            if not table.schema.equals(SCAN_SCHEMA, check_metadata=True):
                return {}
            table.validate(full=True)
            if any(column.null_count for column in table.columns):
                return {}
            paths, *columns = (table.column(name).to_pylist() for name in SCAN_SCHEMA.names)
    except (OSError, ValueError, pa.ArrowException):  # damaged: scanning again mends it
        return {}
    rows = map(ScanRow._make, zip(*columns, strict=True))
    return dict(zip(map(os.fsdecode, paths), rows, strict=True))


def save_scans(cache_dir: Path, folder: str | Path, rows: dict[str, ScanRow]) -> None:
    """Add to what is kept for a folder. Raises OSError where nothing can be written."""
    file = cache_file(cache_dir, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = read_scans(file) | rows
    columns = [list(map(os.fsencode, rows)), *map(list, zip(*rows.values(), strict=True))]
    table = pa.table(dict(zip(SCAN_SCHEMA.names, columns, strict=True)), schema=SCAN_SCHEMA)
    with (
        replacing(file) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, SCAN_SCHEMA) as writer,
    ):
        writer.write_table(table)


def cache_file(cache_dir: Path, folder: str | Path) -> Path:
    """The file that keeps the scans of a folder."""
    key = blake2b(os.fsencode(folder), digest_size=12)
    return cache_dir / "scans" / f"{key.hexdigest()}.arrow"
