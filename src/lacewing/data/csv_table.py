"""A CSV of images: path, label and, if it likes, split; with or without a header."""

import csv
import os
from dataclasses import dataclass, replace
from pathlib import Path

from lacewing.data.image_places import exists
from lacewing.data.listing import SPLIT_WORDS, Entry
from lacewing.data.lists import tidy_path, without_dots
from lacewing.data.text import read_lines
from lacewing.errors import DataError

PATH_WORDS = (
    "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path",
    "img", "image_name", "image_id", "name",
)  # fmt: skip
LABEL_WORDS = ("label", "class", "category", "target", "species", "class_name", "class_id", "y")
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold")
FOLD = "fold"
"""The one of them that often holds numbers, of parts to validate on in turn: they are no splits."""

Row = tuple[int, list[str]]
"""The number of the line that a row ends on, and its cells."""


@dataclass(frozen=True)
class Columns:
    """Positions of the columns in a row."""

    path: int
    label: int
    split: int | None


def read_csv(file: Path, split: str | None = None) -> list[Entry]:
    """The entries of a CSV; `split` is the split of all of them, if the file says none.

    The delimiter is a comma, semicolon or tabulator. Without a header the columns are path,
    label and split. Raises DataError naming the line that can't be read.
    """
    rows = _rows(file)
    if not rows:
        raise DataError(f"{file} is empty: it must hold lines like `ants/001.jpg,ants`.")
    columns, rows = _columns_of(rows)
    return [_entry(file, number, row, columns, split) for number, row in rows]


def whole_rows(file: Path) -> list[Entry]:
    """The entries of the rows that have a path and a class, of a CSV with faults too."""
    columns, rows = _columns_of(_rows(file, lenient=True))
    wanted = max(columns.path, columns.label)
    cells = [(row[columns.path], row[columns.label]) for _, row in rows if len(row) > wanted]
    entries = [Entry(tidy_path(path), label.strip()) for path, label in cells]
    return [entry for entry in entries if entry.path and entry.key]


def _path_in(folder: Path, cell: str) -> str:
    """The path in a cell: as it stands where there is just this file, else tidied.

    A name may begin with a space, or have a backslash in it.
    """
    tidy, exact = tidy_path(cell), without_dots(cell.replace(os.sep, "/"))
    return exact if exact != tidy and exists(folder / exact) else tidy


def _columns_of(rows: list[Row]) -> tuple[Columns, list[Row]]:
    """The columns of a table, and its rows without the header."""
    first = rows[0][1]
    columns = find_columns(first)
    if columns is None:
        return Columns(0, 1, 2 if len(first) > 2 else None), rows
    place = columns.split
    if place is not None and first[place].strip().lower() == FOLD:
        words = {row[place].strip().lower() for _, row in rows[1:] if len(row) > place}
        if not words & SPLIT_WORDS.keys():
            columns = replace(columns, split=None)
    return columns, rows[1:]


def find_columns(header: list[str]) -> Columns | None:
    """The columns that a header names; None if the row is no header."""
    words = [word.strip().lower().replace(" ", "_") for word in header]

    def position(known: tuple[str, ...]) -> int | None:
        return next((words.index(word) for word in known if word in words), None)

    path, label = position(PATH_WORDS), position(LABEL_WORDS)
    if path is None or label is None:
        return None
    return Columns(path, label, position(SPLIT_COLUMNS))


def header_columns(file: Path) -> Columns | None:
    """The columns that a CSV's header names; None if it has none or can't be read."""
    try:
        rows = _rows(file, limit=1, lenient=True)
    except DataError:
        return None
    return find_columns(rows[0][1]) if rows else None


def _rows(file: Path, *, limit: int | None = None, lenient: bool = False) -> list[Row]:
    """Rows that aren't empty. Raises DataError for what is no CSV, unless it is lenient."""
    lines = read_lines(file, lenient=lenient)
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    # strict: a quote that is never closed would take the rest of the file for one label
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=not lenient)
    rows: list[Row] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
            if limit is not None and len(rows) >= limit:
                break
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: {error}.") from None
    return rows


def _entry(file: Path, number: int, row: list[str], columns: Columns, split: str | None) -> Entry:
    def cell(position: int, name: str) -> str:
        text = row[position].strip() if position < len(row) else ""
        if not text:
            raise DataError(f"{file}, line {number}: the {name} is missing.")
        return text

    path = _path_in(file.parent, row[columns.path]) if columns.path < len(row) else ""
    if not path:
        raise DataError(f"{file}, line {number}: the path is missing.")
    label = cell(columns.label, "label")
    if columns.split is not None:
        word = cell(columns.split, "split")
        if word.lower() not in SPLIT_WORDS:
            raise DataError(
                f"{file}, line {number}: the split must be train, val or test, but it is {word!r}."
            )
        split = SPLIT_WORDS[word.lower()]
    return Entry(path, label, split)
