"""Copies of data sets in the cache that are read from: `lacewing cache clear` leaves them."""

import contextlib
import os
import weakref
from pathlib import Path

from lacewing.data.cache import COPIED, DRAWN, UNPACKED
from lacewing.data.pixel_place import is_locked, lock_shared, open_descriptor

MARKS = (UNPACKED, COPIED, DRAWN)
"""One of these lies in each copy that is whole; it is what is locked."""


def hold_copy(owner: object, image: str) -> None:
    """Mark the copy that an image lies in, if in any, as in use for as long as `owner` lives."""
    marks = (folder / name for folder in Path(image).parents for name in MARKS)
    mark = next((mark for mark in marks if mark.is_file()), None)
    if mark is None:
        return
    with contextlib.suppress(OSError):  # not for us to open, and so not to delete either
        descriptor, _ = open_descriptor(mark)
        weakref.finalize(owner, os.close, descriptor)
        lock_shared(descriptor)


def copies_in_use(folder: Path) -> list[Path]:
    """Those of a folder and of what lies in it that are copies which a process reads from."""
    places = [folder, *folder.iterdir()] if folder.is_dir() else []
    return [place for place in places if any(is_locked(place / name) for name in MARKS)]
