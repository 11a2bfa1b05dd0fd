"""Splits that a data set lacks: stratified, seeded, and without twins on both sides."""

from collections import defaultdict
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from lacewing.data.dhash import equal_groups, near_identical_groups
from lacewing.data.index import ImageIndex

LARGEST_GROUP_SHARE = 0.05
LARGEST_GROUP = 50


@dataclass(frozen=True)
class Wanted:
    """How many images of a class go to the test and to the validation split."""

    test: int
    val: int


def wanted(count: int, val_share: float, test_share: float) -> Wanted:
    """The sizes for a class of `count` images: `test_share` of all, `val_share` of the rest.

    A share above 0 gets at least one image, but the last image of a class is for training,
    and with two images only validation gets one.
    """
    test = min(max(1, round(count * test_share)), count - 1) if test_share > 0 else 0
    if count <= 2 and val_share > 0:
        test = 0
    rest = count - test
    val = min(max(1, round(rest * val_share)), rest - 1) if val_share > 0 else 0
    return Wanted(max(0, test), max(0, val))


def complete_splits(
    index: ImageIndex, *, val_share: float, test_share: float, seed: int
) -> ImageIndex:
    """The index with the splits it lacks; rows without a split have None in that column.

    Only images of the training split, or of none, are moved. Images that are near-identical
    (see `near_identical_groups`) stay together, and beside a given split's twin they stay in
    training. Which images are chosen depends on the seed and on their contents, not on their
    order or names. What was made is said in the notes.
    """
    given = np.array([split or "" for split in index.table.column("split").to_pylist()])
    has_val, has_test = bool((given == "val").any()), bool((given == "test").any())
    splits = np.where(given == "", "train", given)
    make_val, make_test = not has_val and val_share > 0, not has_test and test_share > 0
    notes: tuple[str, ...] = ()
    if make_val or make_test:
        groups, notes = groups_of(index)
        splits = assign(
            index.column("label"),
            groups,
            index.table.column("hash").to_pylist(),
            fixed=(given == "val") | (given == "test"),
            splits=splits,
            val_share=val_share if make_val else 0.0,
            test_share=test_share if make_test else 0.0,
            seed=seed,
        )
        notes = (_what_was_made(splits, make_val, make_test, seed), *notes)
    column = index.table.schema.get_field_index("split")
    table = index.table.set_column(column, "split", pa.array(splits.tolist(), pa.string()))
    return replace(index, table=table, notes=index.notes + notes)


def assign(
    labels: np.ndarray,
    groups: np.ndarray,
    contents: list[str],
    *,
    fixed: np.ndarray,
    splits: np.ndarray,
    val_share: float,
    test_share: float,
    seed: int,
) -> np.ndarray:
    """The split of each row, as text [rows]; `splits` is where the rows stand before.

    labels, groups int [rows]; fixed bool [rows]: rows that stay, with all of their group. A
    group counts as its smallest label. Every class keeps an image in training.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        members[group].append(row)
    by_class: dict[int, list[list[int]]] = defaultdict(list)
    for rows in members.values():
        if not fixed[rows].any():
            by_class[int(labels[rows].min())].append(rows)
    result = splits.astype("<U5")
    for label in sorted(by_class):
        ordered = sorted(by_class[label], key=lambda rows: chance_of(rows, contents, seed))
        sizes = wanted(sum(map(len, ordered)), val_share, test_share)
        rest = _take(ordered, sizes.test, "test", result)
        _take(rest, sizes.val, "val", result)
    _keep_every_class(labels, groups, contents, members, fixed, result, seed)
    return result


def _take(ordered: list[list[int]], count: int, split: str, result: np.ndarray) -> list[list[int]]:
    """Give groups to a split until it has `count` images; returns the groups that are left."""
    left, taken = [], 0
    for rows in ordered:
        if taken + len(rows) <= count:
            result[rows] = split
            taken += len(rows)
        else:
            left.append(rows)
    if count and not taken and len(left) > 2:  # every group is larger than what is wanted
        smallest = min(left, key=len)
        result[smallest] = split
        left.remove(smallest)
    return left


def _keep_every_class(
    labels: np.ndarray,
    groups: np.ndarray,
    contents: list[str],
    members: dict[int, list[int]],
    fixed: np.ndarray,
    result: np.ndarray,
    seed: int,
) -> None:
    """Bring a group back to training for each class that has none left there."""
    present = set(labels[result == "train"].tolist())
    for label in sorted(set(labels[~fixed].tolist()) - present):
        own = {int(group) for group in groups[(labels == label) & ~fixed]}
        movable = [members[group] for group in own if not fixed[members[group]].any()]
        if movable:
            result[min(movable, key=lambda rows: chance_of(rows, contents, seed))] = "train"


def chance_of(rows: list[int], contents: list[str], seed: int) -> bytes:
    """A group's place in the draw: a function of the seed and of what the images show."""
    smallest = min(contents[row] for row in rows)
    return blake2b(f"{seed}:{smallest}".encode(), digest_size=16).digest()


def groups_of(index: ImageIndex) -> tuple[np.ndarray, tuple[str, ...]]:
    """Groups of near-identical images; of a group too large for one side, of equal files only."""
    contents = index.table.column("hash").to_pylist()
    dhash, width, height = (index.column(name) for name in ("dhash", "width", "height"))
    groups = near_identical_groups(contents, dhash, width, height)
    sizes = np.bincount(groups)
    too_large = sizes > max(LARGEST_GROUP, LARGEST_GROUP_SHARE * len(groups))
    notes = _twin_note(int(((sizes > 1) & ~too_large).sum()))
    if too_large.any():
        groups = np.where(too_large[groups], equal_groups(contents), groups)
        notes += (_too_large_note(int(sizes[too_large].sum())),)
    return groups, notes


def _twin_note(twins: int) -> tuple[str, ...]:
    if not twins:
        return ()
    return (f"{twins} groups of near-identical images were kept on one side of the split each.",)


def _too_large_note(images: int) -> str:
    return (
        f"{images:,} images are too much alike, and too many, to be kept on one side of the split: "
        "of these only equal files were, so the figures may be too good."
    )


def _what_was_made(splits: np.ndarray, val: bool, test: bool, seed: int) -> str:
    counted = {word: f"{int((splits == word).sum())} images" for word in ("val", "test")}
    made = [f"validation split ({counted['val']})"] if val else []
    made += [f"test split ({counted['test']})"] if test else []
    verb = "was" if len(made) == 1 else "were"
    return f"The {' and the '.join(made)} {verb} made here: stratified by class, with seed {seed}."
