"""Scans that were made before, by file: whichever list, table or folder within names it next.

There is one Arrow file for each folder that was the deepest one to hold all images of a scan. A
list of some of a folder's images finds them in the folder's own.
"""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from lacewing.data.member import stat_image
from lacewing.store.atomic import replacing

SAVE_SECONDS = 30.0
"""What a kill can cost."""
TIMES_A_SAVE = 20.0
"""So long, in times of the last save, is scanned before the next: of millions of rows all are
written anew."""
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
State = tuple[int, int]
"""A file's size in bytes and the time of its last change, in nanoseconds; of one on a server a
number for its version."""


class ScanRow(NamedTuple):
    """What is known of a file, as long as it has this size and this time of its last change."""

    bytes: int
    mtime_ns: int
    width: int
    height: int
    hash: str
    dhash: int

    @property
    def state(self) -> State:
        """What its file was like."""
        return self.bytes, self.mtime_ns


@dataclass
class Scans:
    """What is known of the files below a folder, by absolute path, and what is new."""

    cache_dir: Path | None
    """None keeps nothing."""
    folder: str
    known: dict[str, ScanRow]
    new: dict[str, ScanRow] = field(default_factory=dict)
    save_at: float = field(default_factory=lambda: time.monotonic() + SAVE_SECONDS)
    lost: bool = False
    """Whether something new could not be saved."""

    def add(self, path: str, row: ScanRow) -> None:
        """Remember a file; now and then all that is new is saved."""
        self.new[path] = row
        if time.monotonic() >= self.save_at:
            self.save()

    def save(self, states: Mapping[str, State] | None = None) -> None:
        """Write down what is new; with the `states` of all scanned files, forget what is outdated.

        They are by absolute path.
        """
        if self.cache_dir is None or not self.new:
            return
        began = time.monotonic()
        try:
            save_scans(self.cache_dir, self.folder, self.new, states)
        except OSError:  # tried again, and said at the end
            self.lost = True
        else:
            self.new, self.lost = {}, False
        ended = time.monotonic()
        self.save_at = ended + max(SAVE_SECONDS, TIMES_A_SAVE * (ended - began))


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
        file = file_of(path)
        folder, name = os.path.split(file)
        if folder not in folders:
            folders[folder] = os.path.realpath(root / folder)
        result[path] = f"{folders[folder]}{os.sep}{name}{path[len(file) :]}"
    return result


def common_folder(files: Iterable[str]) -> str:
    """The deepest folder that holds all of some files; "" where there is none."""
    try:
        return os.path.commonpath({os.path.split(file_of(file))[0] for file in files})
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


def save_scans(
    cache_dir: Path,
    folder: str | Path,
    rows: dict[str, ScanRow],
    states: Mapping[str, State] | None = None,
) -> None:
    """Add to what is kept for a folder, and forget what is outdated by the states of its files.

    Raises OSError where nothing can be written.
    """
    file = cache_file(cache_dir, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = read_scans(file)
    rows = (kept if states is None else up_to_date(kept, states)) | rows
    columns = [list(map(os.fsencode, rows)), *map(list, zip(*rows.values(), strict=True))]
    table = pa.table(dict(zip(SCAN_SCHEMA.names, columns, strict=True)), schema=SCAN_SCHEMA)
    with (
        replacing(file) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, SCAN_SCHEMA) as writer,
    ):
        writer.write_table(table)


def up_to_date(rows: dict[str, ScanRow], states: Mapping[str, State]) -> dict[str, ScanRow]:
    """The rows without those of files that are gone, or that were seen in another state.

    Files that the scan did not name are looked for too, unless they are more than it named: a short
    list out of a large folder costs no look at all of that.
    """
    seen = {file_of(place): state for place, state in states.items()}
    others = {file_of(place): place for place in rows if file_of(place) not in seen}
    looked_at = others if len(others) <= len(seen) else {}
    gone = {file for file, place in looked_at.items() if is_gone(place)}
    return {
        place: row
        for place, row in rows.items()
        if file_of(place) not in gone and seen.get(file_of(place), row.state) == row.state
    }


def file_of(place: str) -> str:
    """The file that a path lies in: itself, or the tar file."""
    file, mark, _ = place.partition(".tar::")
    return f"{file}.tar" if mark else file


def is_gone(place: str) -> bool:
    """Whether a file, or the tar file that holds it, is no longer there."""
    try:
        stat_image(place)
    except OSError as error:  # a disk that does not answer may do so again
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def cache_file(cache_dir: Path, folder: str | Path) -> Path:
    """The file that keeps the scans of a folder."""
    key = blake2b(os.fsencode(folder), digest_size=12)
    return cache_dir / "scans" / f"{key.hexdigest()}.arrow"
