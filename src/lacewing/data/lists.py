"""Lists of images: `00002.jpg 0` a line, as in IP102's train.txt, val.txt and test.txt."""

import re
from pathlib import Path

from lacewing.data.index import SPLITS
from lacewing.data.listing import SPLIT_WORDS, Entry
from lacewing.data.member import stat_image
from lacewing.data.text import read_lines
from lacewing.errors import DataError

LINE = re.compile(r"^(.*\S)[\s,;]+([0-9]{1,9})$")
PROBES = 16


def find_lists(folder: Path, suffix: str) -> dict[str, Path]:
    """The lists in a folder by split: train.txt, val.txt or valid.txt, test.txt."""
    found: dict[str, Path] = {}
    for file in sorted(folder.glob(f"*{suffix}")):
        split = SPLIT_WORDS.get(file.stem.lower())
        if split and file.is_file():
            if split in found:
                raise DataError(f"{found[split]} and {file} are both the {split} list: keep one.")
            found[split] = file
    return {split: found[split] for split in SPLITS if split in found}


def read_list(file: Path, split: str | None) -> list[Entry]:
    """The entries of a list. Raises DataError naming the line that can't be read."""
    entries = []
    for number, line in enumerate(read_lines(file), 1):
        text = line.strip()
        if not text:
            continue
        match = LINE.match(text)
        if not match:
            raise DataError(
                f"{file}, line {number}: a line must be a file's name and the number of its "
                f"class, like `00002.jpg 0`, but it is {text[:80]!r}."
            )
        path = tidy_path(match[1].strip("\"',"))
        if not path:
            raise DataError(f"{file}, line {number}: the file's name is missing.")
        entries.append(Entry(path, str(int(match[2])), split))
    return entries


def tidy_path(text: str) -> str:
    """A path as written on any system, with forward slashes and without a leading `./`."""
    path = text.strip().replace("\\", "/")
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return path


def first_paths(file: Path) -> list[str]:
    """What would be paths in a list's lines, a few spread over it; [] if it is no list."""
    try:
        lines = [line.strip() for line in read_lines(file)]
    except DataError:
        return []
    matches = [match for match in map(LINE.match, lines) if match]
    step = max(1, len(matches) // PROBES)
    return [tidy_path(match[1].strip("\"',")) for match in matches[::step]]


def image_root(paths: list[str], places: list[Path]) -> Path | None:
    """The place below which most of the paths exist; None if it is none."""
    places = [place for place in places if place.is_dir()]  # below any, absolute paths exist
    hits = [sum(_exists(place / path) for path in paths) for place in places]
    best = max(range(len(places)), key=lambda position: hits[position], default=0)
    return places[best] if places and hits[best] else None


def image_places(folder: Path, images: Path | None) -> list[Path]:
    """Where the images of a list in `folder` may lie; only where the user says, if they do."""
    if images is not None:
        return [images, images / "images"]
    return [folder / "images", folder, folder.parent / "images", folder.parent]


def _exists(path: Path) -> bool:
    try:
        stat_image(path)
    except (OSError, ValueError):  # also too long, or with characters no path can have
        return False
    return True
