"""Which rows are one picture: equal files, and near-identical ones of one label.

Near-identical pictures under two labels may well be two, like a fixed camera's scene with and
without a fox: they are worth a look, and no more is concluded from them.
"""

from collections.abc import Collection, Iterator

import numpy as np

from lacewing.data.dhash import equal_groups
from lacewing.data.index import ImageIndex


def rows_of(groups: np.ndarray) -> Iterator[list[int]]:
    """The rows of each group of two or more, in the order of their numbers."""
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    return (rows.tolist() for rows in np.split(order, edges) if len(rows) > 1)


def contents_of(index: ImageIndex) -> np.ndarray:
    """A number for each row, int64 [rows], shared by equal files: the smallest row of them."""
    return equal_groups(index.table.column("hash").to_pylist())


def contested(index: ImageIndex, contents: np.ndarray, named: Collection[str] = ()) -> np.ndarray:
    """Rows whose file, or an equal one, has another label too, bool [rows].

    `contents` are those of `contents_of`; `named` are paths that the data set itself names with
    two labels.
    """
    labels = index.column("label")
    result = np.array([path in named for path in index.table.column("path").to_pylist()], bool)
    for rows in rows_of(contents):
        result[rows] = result[rows].any() or len(set(labels[rows].tolist())) > 1
    return result


def pictures_of(index: ImageIndex, groups: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """A number for each row, int64 [rows], shared by rows of one group and one label.

    Rows that stand `apart`, bool [rows], share theirs with no other.
    """
    numbers = groups.astype(np.int64) * len(index.classes) + index.column("label")
    return np.where(apart, -1 - np.arange(len(index)), numbers)
