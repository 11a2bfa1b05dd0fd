"""`open_images`: from what stands after `--data` to an ImageIndex."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lacewing.data.build import build_index, check_index, once, split_notes
from lacewing.data.cache import cache_folder
from lacewing.data.index import ImageIndex
from lacewing.data.layouts import recognise
from lacewing.data.locate import locate
from lacewing.data.scan import Progress, scan
from lacewing.data.splits import complete_splits
from lacewing.errors import DataError


def open_images(
    data: str | Path,
    *,
    data_root: Path | None = None,
    images: Path | None = None,
    val_share: float = 0.15,
    test_share: float = 0.15,
    seed: int = 0,
    cache_dir: Path | None = None,
    threads: int = 2,
    progress: Progress | None = None,
    draw_sample: Callable[[Path], None] | None = None,
) -> ImageIndex:
    """Find a data set, recognise its layout, open every image, and make missing splits.

    `data` is a folder, a .csv, a .tar, the address of such on a server, or a name (IP102, D0;
    `sample`, if `draw_sample` can draw it into a folder). `images` is where the images lie if not
    beside their lists. `cache_dir` is `cache_folder()` by default. `progress` gets numbers done
    and in total, first in bytes while an archive is unpacked. The rows are sorted by path.
    Raises DataError for anything that stands in the way.
    """
    cache = cache_folder() if cache_dir is None else cache_dir
    if images is not None and not images.is_dir():
        raise DataError(f"The folder of the images, {images}, is not there.")
    place = locate(
        str(data), data_root=data_root, cache=cache, draw_sample=draw_sample, progress=progress
    )
    listing = recognise(place.path, images)
    if images is not None and not listing.root.is_relative_to(images):
        unused = f"The images lie in {listing.root}; the folder {images} was not used."
        listing = replace(listing, notes=(*listing.notes, unused))
    entries, repeated = once(listing.entries)
    paths = [entry.path for entry in entries]
    readers = max(threads, place.readers)
    scanned = scan(listing.root, paths, cache_dir=cache, threads=readers, progress=progress)
    index = build_index(listing, entries, repeated, scanned, place.name)
    check_index(index)
    index = replace(index, notes=place.notes + index.notes)
    index = complete_splits(index, val_share=val_share, test_share=test_share, seed=seed)
    return split_notes(index)
