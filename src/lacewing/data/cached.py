"""What lies in the cache folder, and how to clear it."""

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lacewing.data.in_use import copies_in_use
from lacewing.errors import DataError
from lacewing.store.made_once import remove_stale

KINDS = {
    "scans": "sizes and hashes of images, so that they are read once",
    "lists": "what is in tar shards, so that they are read through once",
    "pixels": "decoded images, so that they are decoded once",
    "unpacked": "the content of parquet files, and of archives where nothing can be written",
    "remote": "where the images of data sets on servers lie",
    "sample": "the data set called sample",
    "models": "models out of zip files",
    "trials": "what was timed on this machine for plans",
    "forward": "what was timed on this machine for recipes",
    "runtime": "onnxruntime-web, for exports to the browser",
}
"""The folders in the cache, and what they are for. Nothing else there is ever deleted."""


@dataclass(frozen=True)
class Contents:
    """One kind of what is kept."""

    kind: str
    files: int
    bytes: int
    """Space that the files take on the disk."""
    about: str


def cache_contents(folder: Path) -> list[Contents]:
    """What lies in a cache folder, every kind, also those of which there is nothing."""
    found = []
    for kind, about in KINDS.items():
        sizes = list(_sizes(folder / kind))
        found.append(Contents(kind, len(sizes), sum(sizes), about))
    return found


def clear_cache(
    folder: Path, kind: str | None = None, on_event: Callable[[str], None] = lambda _: None
) -> int:
    """Delete one kind, or all; returns the bytes that this freed.

    Of a link only the link is deleted. Copies of data sets that a run reads from stay, as far as
    there are locks. Of both `on_event` gets a sentence. Runs that use anything else that is deleted
    go on; on Windows files in use stay, which raises DataError.
    """
    freed = 0
    for name in KINDS if kind is None else (kind,):
        place = folder / name
        before = 0 if place.is_symlink() else sum(_sizes(place))
        try:
            used = copies_in_use(place)
            for copy in used:
                on_event(f"{copy} stays: a run reads from it.")
            if used:
                delete_others(place, used)
            elif place.is_symlink():
                target = place.resolve()
                place.unlink()
                on_event(f"{place} was a link and is removed; what it led to still lies in "
                         f"{target}.")  # fmt: skip
            elif place.is_dir():
                shutil.rmtree(place)
        except OSError as error:
            raise DataError(
                f"{error.filename or place} can't be deleted: {error.strerror}."
            ) from None
        remove_stale(folder, name)
        freed += before - (0 if place.is_symlink() else sum(_sizes(place)))
    return freed


def delete_others(folder: Path, used: Collection[Path]) -> None:
    """Delete what lies in a folder, but the copies that are in use; nothing if it is one, or a
    link. Raises OSError.
    """
    for place in [] if folder in used or folder.is_symlink() else folder.iterdir():
        if place in used:
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


def _sizes(folder: Path) -> Iterator[int]:
    """Bytes that each file below a folder takes; links are not followed.

    Of hidden ones only those on their way to their place, or left on it, take any.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and not name.endswith(".tmp"):  # a lock, a mark
                continue
            try:
                state = (Path(place) / name).lstat()
            except OSError:  # deleted in between
                continue
            blocks = getattr(state, "st_blocks", None)  # Windows has none
            yield state.st_size if blocks is None else blocks * 512
