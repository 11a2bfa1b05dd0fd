"""A cleaned list: a CSV of the images that an audit has nothing grave against."""

import csv
import os
from pathlib import Path

import numpy as np

from lacewing.data.audit.findings import Report
from lacewing.data.audit.same import contents_of, contested, pictures_of, rows_of
from lacewing.data.build import KEPT_FIRST
from lacewing.data.index import ImageIndex
from lacewing.errors import DataError
from lacewing.store.atomic import replacing

HEADERS = ("path", "label"), ("path", "label", "split")
"""Of a list without splits, and of one with them."""


def write_cleaned(report: Report, file: Path) -> int:
    """Write path, label and split of the rows that stay; returns how many were left out.

    `lacewing train --data FILE` reads it. Where the images lie below the CSV's folder, paths are
    relative to it, else absolute. No image is touched. Raises DataError if nothing can be
    written.
    """
    index = report.index
    keep = np.flatnonzero(~dropped(report))
    paths = index.table.column("path").to_pylist()
    splits = index.table.column("split").to_pylist()
    labels, names = index.column("label"), class_names(index)
    prefix = path_prefix(index.root, file)
    has_splits = any(splits)
    try:
        with (
            replacing(file) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as out,
        ):
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(HEADERS[has_splits])
            for row in keep.tolist():
                path = paths[row] if Path(paths[row]).is_absolute() else prefix + paths[row]
                record = (path, names[labels[row]], splits[row])
                writer.writerow(record if has_splits else record[:2])
    except OSError as error:
        raise DataError(f"The list {file} can't be written: {error.strerror}.") from None
    return len(index) - len(keep) + len(index.excluded)


def may_be_cleaned(file: Path) -> bool:
    """Whether a file may be a list that was written here; also if there is none, or an empty one.

    A table of the user's with the same header can't be told from one. Raises DataError.
    """
    try:
        with file.open("rb") as opened:
            return opened.readline(100) in (b"", *(f"{','.join(h)}\n".encode() for h in HEADERS))
    except FileNotFoundError:
        return True
    except OSError as error:
        raise DataError(f"The list {file} can't be read: {error.strerror}.") from None


def dropped(report: Report) -> np.ndarray:
    """Rows that are left out, bool [rows].

    Of a file under two labels every copy; of a picture in two splits those outside the split that
    judges last: a leak is mended in training, not by shrinking the test.
    """
    index = report.index
    splits = index.table.column("split").to_pylist()
    result = contested(index, contents_of(index), report.conflicts)
    for rows in rows_of(pictures_of(index, report.groups, apart=result)):
        kept = min((splits[row] for row in rows), key=KEPT_FIRST.index)
        result[[row for row in rows if splits[row] != kept]] = True
    return result


def class_names(index: ImageIndex) -> list[str]:
    """What to call each class in the list: its id and its name, so that the order stays."""
    if not index.class_ids:
        return list(index.classes)
    named = all(id_ != name for id_, name in zip(index.class_ids, index.classes, strict=True))
    if not named:
        return list(index.class_ids)
    return [f"{id_} {name}" for id_, name in zip(index.class_ids, index.classes, strict=True)]


def path_prefix(root: Path, file: Path) -> str:
    """What stands before each path: the way from the CSV's folder to the root, or from /."""
    folder, root = file.absolute().parent.resolve(), root.resolve()
    if not root.is_relative_to(folder):
        return root.as_posix().rstrip("/") + "/"
    relative = Path(os.path.relpath(root, folder)).as_posix()
    return "" if relative == "." else f"{relative}/"
