"""A data set as it stands, before anything is mended: what an audit looks at."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lacewing.data.build import build_index, once
from lacewing.data.cache import cache_folder
from lacewing.data.index import ImageIndex
from lacewing.data.layouts import recognise
from lacewing.data.listing import Entry
from lacewing.data.locate import locate
from lacewing.data.scan import Progress, scan
from lacewing.errors import DataError


@dataclass(frozen=True)
class Images:
    """The readable images, the others with their reasons (`index.excluded`), and repetitions."""

    index: ImageIndex
    """Splits are those the data set gives: None everywhere if it gives none."""
    repeated: dict[str, list[Entry]]
    """By path, every naming of a file that is named more than once."""
    readers: int = 1
    """Threads that it takes at least to read them: a server lets each of them wait."""


def read_images(
    data: str | Path,
    *,
    data_root: Path | None = None,
    images: Path | None = None,
    cache_dir: Path | None = None,
    threads: int = 2,
    progress: Progress | None = None,
    draw_sample: Callable[[Path], None] | None = None,
) -> Images:
    """Find a data set, recognise its layout and open every file; makes no splits.

    The parameters are those of `open_images`. An interrupted reading goes on where it was.
    Raises DataError if there is no such data set or no known layout.
    """
    cache = cache_folder() if cache_dir is None else cache_dir
    if images is not None and not images.is_dir():
        raise DataError(f"The folder of the images, {images}, is not there.")
    place = locate(
        str(data), data_root=data_root, cache=cache, draw_sample=draw_sample, progress=progress
    )
    listing = recognise(place.path, images)
    named = with_training(listing.entries)
    entries, _ = once(named)
    paths = [entry.path for entry in entries]
    if not paths:
        raise DataError(f"{place.path} names no images: there is nothing to check.")
    readers = max(threads, place.readers)
    scanned = scan(listing.root, paths, cache_dir=cache, threads=readers, progress=progress)
    index = build_index(listing, entries, (), scanned, place.name)
    index = replace(index, notes=place.notes + index.notes)
    return Images(index, _repeated(named), place.readers)


def with_training(entries: list[Entry]) -> list[Entry]:
    """The entries; beside those of a split, one of none is of training, as it is to `train`."""
    if not any(entry.split for entry in entries):
        return entries
    return [entry._replace(split=entry.split or "train") for entry in entries]


def _repeated(entries: list[Entry]) -> dict[str, list[Entry]]:
    by_path: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_path[entry.path].append(entry)
    return {path: named for path, named in by_path.items() if len(named) > 1}
