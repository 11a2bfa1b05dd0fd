"""Folds of a small data set: stratified by class, with near-identical images in one fold."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow as pa

from lacewing.data.index import ImageIndex
from lacewing.data.splits import chance_of, groups_of
from lacewing.data.subset import SAMPLED, WHOLE
from lacewing.errors import DataError

ALL = 0
"""The fold that trains on all training and validation images and is judged on the test split."""


def fold_of(index: ImageIndex, folds: int, fold: int, seed: int) -> ImageIndex:
    """One fold's view of the training and validation images, which are dealt out anew.

    Fold 1 to `folds` validates on its part, trains on the others, and has no test images: those
    are for the last run, fold 0, which trains on everything else. Raises DataError where a
    fold gets no image.
    """
    numbers, notes = fold_numbers(index, folds, seed)
    unsaid = tuple(note for note in notes if note not in index.notes)
    index = replace(index, notes=index.notes + unsaid)
    empty = sorted(set(range(1, folds + 1)) - set(numbers.tolist()))
    if empty:
        raise DataError(
            f"{index.root} has too few training images for {folds} folds: fold {empty[0]} gets "
            "none. Lower --folds."
        )
    if fold == ALL:
        splits = np.where(numbers > 0, "train", "test")
        note = "All training and validation images are trained on."
        return with_whole_dealt(with_splits(index, splits, note))
    dealt = numbers > 0
    splits = np.where(numbers == fold, "val", "train")
    note = (
        f"Fold {fold} of {folds}, dealt with seed {seed}: validated on {(numbers == fold).sum():,} "
        f"of {dealt.sum():,} images; the test split is left to the last run."
    )
    return with_whole_dealt(with_splits(index, splits, note).take(np.flatnonzero(dealt)))


def fold_numbers(index: ImageIndex, folds: int, seed: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The fold of each row, int64 [rows], 1 to `folds`; 0 for test images. And notes on twins.

    Near-identical images are dealt together, as one of their smallest label. Each class's groups
    go, in an order that depends on the seed and on their contents, to the fold that has the
    fewest images of the class, and of equals to the one that has the fewest of all.
    """
    labels = index.column("label")
    contents = index.table.column("hash").to_pylist()
    dealt = index.column("split") != "test"
    groups, notes = groups_of(index)
    members: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(dealt).tolist():
        members[int(groups[row])].append(row)
    order = sorted(
        members.values(),
        key=lambda rows: (int(labels[rows].min()), chance_of(rows, contents, seed)),
    )
    numbers = np.zeros(len(index), np.int64)
    counts = np.zeros((folds, len(index.classes)), np.int64)
    for rows in order:
        label = int(labels[rows].min())
        fold = min(range(folds), key=lambda place: (counts[place, label], counts[place].sum()))
        counts[fold, label] += len(rows)
        numbers[rows] = fold + 1
    return numbers, notes


def with_whole_dealt(index: ImageIndex) -> ImageIndex:
    """The index with the images that there were before a sample was drawn, if one was, dealt out
    as its own are."""
    whole = index.details.get(WHOLE)
    if whole is None:
        return index
    counts = {split: len(index.split(split)) for split in SAMPLED}
    times = sum(whole.values()) / sum(counts.values())
    dealt = {split: round(times * count) for split, count in counts.items()}
    return replace(index, details={**index.details, WHOLE: dealt})


def with_splits(index: ImageIndex, splits: np.ndarray, note: str) -> ImageIndex:
    """The index with other splits, text [rows], and a note on it."""
    column = index.table.schema.get_field_index("split")
    table = index.table.set_column(column, "split", pa.array(splits.tolist(), pa.string()))
    return replace(index, table=table, notes=(*index.notes, note))
