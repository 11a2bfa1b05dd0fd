"""Listing: what a layout says about a data set before any image has been opened."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from lacewing.data.formats import HEAD, SUFFIXES, format_of
from lacewing.errors import DataError
from lacewing.values import counted

IMAGE_SUFFIXES = frozenset(chain(*SUFFIXES.values()))
HEIF_SUFFIXES = (".heic", ".heif", ".hif")
"""What Pillow can't read without a plugin."""
SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini", "icon\r"))
SYSTEM_FOLDERS = frozenset(("__macosx", "@eadir", "$recycle.bin"))

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""What splits are called in folders, lists and tables, in lower case."""


class Entry(NamedTuple):
    """One image: its path relative to the root, the key of its class, and its split."""

    path: str
    key: str
    split: str | None = None


@dataclass(frozen=True)
class Listing:
    """Every image that a layout names; a class is named by its key (a folder, a number)."""

    root: Path
    layout: str
    entries: list[Entry]
    names: dict[str, str] = field(default_factory=dict)
    """Names of keys that are numbers, from a classes.txt."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """Files below a folder: the images, and how many others there are by suffix."""

    images: list[str]
    """Relative to the folder, with forward slashes, sorted."""
    others: Counter[str]


def is_system(name: str) -> bool:
    """Whether a name is one that systems leave behind: hidden files, Thumbs.db and such."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES | SYSTEM_FOLDERS


def is_image_name(name: str) -> bool:
    """Whether a name has an image's suffix."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def is_image_within(file: Path) -> bool:
    """Whether a file whose name has no suffix (00017, README) is an image, by its first bytes.

    What can't be read counts: whoever opens it says why.
    """
    if file.suffix:
        return False
    try:
        if not file.is_file():  # a pipe would be waited for
            return True
        with file.open("rb") as opened:
            return format_of(opened.read(HEAD)) is not None
    except OSError:
        return True


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, in the order of their names, without the system's own."""
    try:
        with os.scandir(folder) as entries:
            found = [Path(e.path) for e in entries if e.is_dir() and not is_system(e.name)]
    except OSError as error:
        raise DataError(f"The folder {folder} can't be read: {error.strerror}.") from None
    return sorted(found)


def find_images(folder: Path, *, lenient: bool = False) -> Found:
    """Every image below a folder, links followed.

    Raises DataError if a folder can't be read, unless it is lenient.
    """
    images: list[str] = []
    others: Counter[str] = Counter()
    for place, names in _walk(folder, lenient=lenient):
        prefix = place.relative_to(folder).as_posix()
        for name in names:
            if is_system(name):
                continue
            if is_image_name(name) or is_image_within(place / name):
                images.append(name if prefix == "." else f"{prefix}/{name}")
            else:
                others[Path(name).suffix.lower() or "no suffix"] += 1
    return Found(sorted(images), others)


def _walk(folder: Path, *, lenient: bool) -> Iterator[tuple[Path, list[str]]]:
    def refuse(error: OSError) -> None:
        raise DataError(f"The folder {error.filename} can't be read: {error.strerror}.")

    seen: set[str] = set()  # links may lead back up
    onerror = None if lenient else refuse
    for place, folders, names in os.walk(folder, followlinks=True, onerror=onerror):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_system(name))
        yield Path(place), names


def has_images(folder: Path) -> bool:
    """Whether a folder itself holds a file that is an image by its suffix."""
    try:
        with os.scandir(folder) as entries:
            return any(
                is_image_name(e.name) and not is_system(e.name) for e in entries if not e.is_dir()
            )
    except OSError as error:
        raise DataError(f"The folder {folder} can't be read: {error.strerror}.") from None


def class_of_paths(paths: list[str]) -> dict[str, str]:
    """The class of each path `class/...`: its first folder, if that one holds images itself.

    Else the classes lie one folder deeper (`rice/leaf-roller/1.jpg` -> `rice/leaf-roller`).
    """
    parts = {path: path.split("/") for path in paths}
    own = {part[0] for part in parts.values() if len(part) == 2}
    return {
        path: part[0] if part[0] in own else "/".join(part[: min(2, len(part) - 1)])
        for path, part in parts.items()
    }


def passed_over(others: Counter[str]) -> tuple[str, ...]:
    """A note on files that are no images, if there are any."""
    if not others:
        return ()
    kinds = ", ".join(suffix for suffix, _ in others.most_common(4))
    note = f"No images, and passed over: {counted(others.total(), 'file')} ({kinds})."
    photos = sum(others[suffix] for suffix in HEIF_SUFFIXES)
    if photos:
        note += f" {photos} of them are a phone's HEIC photos: convert them to JPEG to use them."
    return (note,)
