"""Lists of images: `00002.jpg 0` a line, as in IP102's train.txt, val.txt and test.txt."""

import re
from pathlib import Path

from lacewing.data.index import SPLITS
from lacewing.data.listing import SPLIT_WORDS, Entry
from lacewing.data.text import read_lines
from lacewing.errors import DataError

LINE = re.compile(r"^(.*\S)[\s,;]+([0-9]{1,9})$")


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
    return without_dots(text.strip().replace("\\", "/"))


def without_dots(path: str) -> str:
    """A path without a leading `./`."""
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return path


def whole_lines(file: Path) -> list[Entry]:
    """The entries of the lines that can be read, of a list with faults too."""
    matches = [LINE.match(line.strip()) for line in read_lines(file, lenient=True)]
    return [Entry(tidy_path(m[1].strip("\"',")), str(int(m[2]))) for m in matches if m]
