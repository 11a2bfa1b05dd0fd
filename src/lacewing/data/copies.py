"""Copies of data sets that can't be read image by image: tar shards in the cache, made once."""

import glob
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from lacewing.data.cache import COPIED
from lacewing.data.shard_writer import ShardWriter
from lacewing.errors import DataError
from lacewing.store.made_once import made_once, remove_stale

Progress = Callable[[int, int], None]
VERSION = 2
"""Of the copies: older ones are made anew."""


@dataclass(frozen=True)
class Row:
    """One image as its file's bytes, with its class, a number or a name."""

    split: str | None
    image: bytes
    label: str | None
    """None where the data set keeps it to itself."""


@dataclass(frozen=True)
class Source:
    """Rows to be copied, and what is known of them beforehand."""

    rows: Iterator[Row]
    """Raises DataError where they can't be read."""
    count: int
    """Rows in all; 0 where nobody knows."""
    names: tuple[str, ...] = ()
    """Names of the classes that are numbers."""
    notes: tuple[str, ...] = ()
    """What of it is no images."""


def copy_place(cache: Path, name: str, source: str, state: object) -> Path:
    """The folder for a copy of a source, a path or an address, in one of its states."""
    plain = re.sub(r"[^\w.-]+", "-", name)
    return cache / "unpacked" / f"{plain}-{_key(source)}-{_key((VERSION, state))}"


def fill(target: Path, open_source: Callable[[], Source], progress: Progress | None) -> Path:
    """Write a source's rows as shards into `target`, once.

    Copies of its other states stay: runs that began with them find their images nowhere else.
    Raises DataError for a source that can't be read, and for a full disk.
    """
    if not is_whole(target):
        remove_stale(target.parent, glob.escape(target.name.rpartition("-")[0]) + "-*")
        make(target, open_source(), progress)
    return target


def is_whole(folder: Path) -> bool:
    """Whether a folder holds all of a copy."""
    return (folder / COPIED).exists()


def make(target: Path, source: Source, progress: Progress | None) -> None:
    """`fill` without what lies around it."""
    try:
        with made_once(target, is_whole) as temporary:
            unlabelled = copy_rows(source, temporary, progress)
            if source.names:
                lines = "".join(f"{number} {name}\n" for number, name in enumerate(source.names))
                (temporary / "classes.txt").write_text(lines, encoding="utf-8")
            said = " ".join((*source.notes, *said_of(unlabelled)))
            (temporary / COPIED).write_text(said, encoding="utf-8")
    except OSError as error:  # of the source's a DataError was made
        raise DataError(
            f"The images can't be copied into {target}: {error.strerror or error}; set "
            "LACEWING_CACHE to a folder with room for them, or delete older copies by `lacewing "
            "cache clear unpacked`."
        ) from None


def copy_rows(source: Source, folder: Path, progress: Progress | None) -> int:
    """Write a source's rows as shards; how many were passed over, since they have no label."""
    unlabelled = 0
    with ShardWriter(folder) as writer:
        for done, row in enumerate(source.rows, 1):
            if row.label is None:
                unlabelled += 1
            else:
                writer.add(row.split, row.image, row.label)
            if progress is not None:
                progress(done, max(done, source.count))
    return unlabelled


def said_of(unlabelled: int) -> tuple[str, ...]:
    """A sentence on images without a label, if there are any."""
    if not unlabelled:
        return ()
    return (f"{unlabelled} of the images have no label (a hidden test split?): passed over.",)


def _key(value: object) -> str:
    return blake2b(repr(value).encode(), digest_size=6).hexdigest()
