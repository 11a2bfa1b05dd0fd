"""Scans that were made before, by file: whichever list, table or folder within names it next.

There is one Arrow file for each folder that was the deepest one to hold all images of a scan. A
list of some of a folder's images finds them in the folder's own.
"""

import os
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lacewing.data.member import stat_image
from lacewing.data.named_files import NamedFiles
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
IN_TAR = r"(?s)^(.*?\.tar)::.*$"
"""Of the path of an image in a tar file, as Arrow reads it: the first part is the tar file's."""


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
    """What is new of the files below a folder, by absolute path, on its way to what is kept."""

    cache_dir: Path | None
    """None keeps nothing."""
    folder: str
    new: dict[str, ScanRow] = field(default_factory=dict)
    save_at: float = field(default_factory=lambda: time.monotonic() + SAVE_SECONDS)
    lost: bool = False
    """Whether something new could not be saved."""

    def add(self, path: str, row: ScanRow) -> None:
        """Remember a file; now and then all that is new is saved."""
        self.new[path] = row
        if time.monotonic() >= self.save_at:
            self.save()

    def save(self, files: NamedFiles | None = None) -> None:
        """Write down what is new; with all `files` of the scan, forget what is outdated."""
        if self.cache_dir is None or not self.new:
            return
        began = time.monotonic()
        try:
            save_scans(self.cache_dir, self.folder, self.new, files)
        except OSError:  # tried again, and said at the end
            self.lost = True
        else:
            self.new, self.lost = {}, False
        ended = time.monotonic()
        self.save_at = ended + max(SAVE_SECONDS, TIMES_A_SAVE * (ended - began))


def known_scans(cache_dir: Path | None, files: NamedFiles) -> tuple[np.ndarray, pa.Table]:
    """Which files are known in the state that they are in, bool [files], and what is known of them.

    The table is of SCAN_SCHEMA without the path, a row for each known file, in their order.
    """
    if cache_dir is None:
        return np.zeros(len(files.rows), bool), SCAN_SCHEMA.empty_table()
    kept = load_scans(cache_dir, files)
    found = pc.index_in(files.places, value_set=kept["path"])  # the first: the deepest folder's
    known, rows = found.is_valid().to_numpy(zero_copy_only=False), found.drop_null().to_numpy()
    same = is_same(kept, rows, files.states[known])
    known[known] = same
    return known, kept.drop_columns("path").take(pa.array(rows[same]))


def is_same(kept: pa.Table, rows: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Whether files in these states, int64 [n, 2], are as in these kept rows, bool [n]."""
    sizes, times = (kept[name].to_numpy()[rows] for name in ("bytes", "mtime_ns"))
    return (sizes == states[:, 0]) & (times == states[:, 1])


def load_scans(cache_dir: Path, files: NamedFiles) -> pa.Table:
    """What is kept of some files for their folder and for those that it lies in, deepest first."""
    tables = []
    folders: list[str | Path] = [files.folder, *Path(files.folder).parents]
    for folder in folders:
        kept = read_scans(cache_file(cache_dir, folder))
        if len(kept):  # of a large folder perhaps only a few are asked for
            tables.append(kept.filter(pc.is_in(kept["path"], value_set=files.places)))
    return pa.concat_tables([SCAN_SCHEMA.empty_table(), *tables])


def read_scans(file: Path) -> pa.Table:
    """What one file keeps; no rows if it is not there, or damaged, or of another version."""
    try:
        with pa.memory_map(str(file)) as source:
            table = pa.ipc.open_file(source).read_all()
            table.validate(full=True)
    except (OSError, ValueError, pa.ArrowException):  # damaged: scanning again mends it
        return SCAN_SCHEMA.empty_table()
    is_ours = table.schema.equals(SCAN_SCHEMA, check_metadata=True)
    is_whole = not any(column.null_count for column in table.columns)
    return table if is_ours and is_whole else SCAN_SCHEMA.empty_table()


def save_scans(
    cache_dir: Path, folder: str | Path, rows: dict[str, ScanRow], files: NamedFiles | None = None
) -> None:
    """Add to what is kept for a folder, and forget what is outdated by the states of its files.

    Raises OSError where nothing can be written.
    """
    file = cache_file(cache_dir, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = [list(map(os.fsencode, rows)), *map(list, zip(*rows.values(), strict=True))]
    new = pa.table(dict(zip(SCAN_SCHEMA.names, columns, strict=True)), schema=SCAN_SCHEMA)
    # a copy, so that nothing holds the old file open when it is replaced
    kept = without_outdated(read_scans(file), new, files)
    with (
        replacing(file) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, SCAN_SCHEMA) as writer,
    ):
        writer.write_table(pa.concat_tables([kept, new]))


def without_outdated(kept: pa.Table, new: pa.Table, files: NamedFiles | None) -> pa.Table:
    """What was kept and still holds."""
    outdated = pc.is_in(kept["path"], value_set=new["path"])
    if files is not None:
        outdated = pc.or_(outdated, is_outdated(kept, files))
    return kept.filter(pc.invert(outdated))


def is_outdated(kept: pa.Table, files: NamedFiles) -> pa.Array:
    """Which of the kept rows are of files that are gone, or were seen in another state: bool.

    Files that the scan did not name are looked for too, unless they are more than it named: a short
    list out of a large folder costs no look at all of that.
    """
    holders = pc.replace_substring_regex(kept["path"], IN_TAR, r"\1")
    named = pc.replace_substring_regex(files.places, IN_TAR, r"\1")
    found = pc.index_in(holders, value_set=named)
    seen, rows = np.flatnonzero(found.is_valid()), found.drop_null().to_numpy()
    outdated = np.zeros(len(kept), bool)
    outdated[seen] = ~is_same(kept, seen, files.states[rows])
    others = found.is_null()
    strangers = holders.filter(others)
    if pc.count_distinct(strangers).as_py() <= pc.count_distinct(named).as_py():
        places = kept["path"].filter(others).to_pylist()
        one_of_each = dict(zip(strangers.to_pylist(), places, strict=True))
        gone = {file for file, place in one_of_each.items() if is_gone(os.fsdecode(place))}
        outdated[np.flatnonzero(others)] = [file in gone for file in strangers.to_pylist()]
    return pa.array(outdated)


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
