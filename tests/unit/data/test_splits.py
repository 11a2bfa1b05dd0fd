"""Splits that are made: complete, stratified, seeded, blind to order, and never between twins."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacewing.data.index import SCHEMA, ImageIndex
from lacewing.data.open import open_images
from lacewing.data.splits import complete_splits, groups_of, wanted


def make_index(
    labels: list[int], contents: list[int], splits: list[str | None] | None = None
) -> ImageIndex:
    """An index whose rows are near-identical where `contents` are equal, and nowhere else."""
    rows = len(labels)
    spread = np.random.default_rng(1).integers(0, 2**63, 5000, dtype=np.uint64)
    table = pa.table(
        {
            "path": [f"{row}.jpg" for row in range(rows)],
            "label": labels,
            "split": splits or [None] * rows,
            "width": [64] * rows,
            "height": [64] * rows,
            "bytes": [1000] * rows,
            "hash": [f"{content:08x}" for content in contents],
            "dhash": [int(spread[content]) for content in contents],
        },
        schema=SCHEMA,
    )
    classes = tuple(map(str, range(max(labels) + 1)))
    return ImageIndex(Path("nowhere"), table, classes, "set", "made up")


def shuffled(index: ImageIndex, seed: int) -> ImageIndex:
    return index.take(np.random.default_rng(seed).permutation(len(index)))


def split_by_path(index: ImageIndex) -> dict[str, str]:
    return dict(zip(*(index.table.column(name).to_pylist() for name in ("path", "split")),
                    strict=True))  # fmt: skip


rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=120)
shares = st.sampled_from([0.0, 0.1, 0.15, 0.3, 0.49])


@settings(max_examples=60, deadline=None)
@given(rows, shares, shares, st.integers(0, 5))
def test_twins_stay_together_and_every_class_keeps_a_training_image(rows, val, test, seed):
    labels, contents = map(list, zip(*rows, strict=True))
    index = complete_splits(make_index(labels, contents), val_share=val, test_share=test, seed=seed)
    splits = index.table.column("split").to_pylist()
    assert set(splits) <= {"train", "val", "test"}
    sides: dict[int, set[str]] = {}
    for content, split in zip(contents, splits, strict=True):
        sides.setdefault(content, set()).add(split)
    assert all(len(side) == 1 for side in sides.values())
    trained = {label for label, split in zip(labels, splits, strict=True) if split == "train"}
    assert trained == set(labels)


@settings(max_examples=40, deadline=None)
@given(rows, st.integers(0, 5), st.integers(0, 5))
def test_the_order_of_the_rows_changes_nothing(rows, seed, order):
    index = make_index(*map(list, zip(*rows, strict=True)))
    wants = {"val_share": 0.2, "test_share": 0.2, "seed": seed}
    straight = split_by_path(complete_splits(index, **wants))
    mixed = split_by_path(complete_splits(shuffled(index, order), **wants))
    assert straight == mixed


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(3, 60), min_size=2, max_size=5), shares, shares)
def test_shares_hold_within_rounding_in_every_class(sizes, val, test):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    index = complete_splits(
        make_index(labels, list(range(len(labels)))), val_share=val, test_share=test, seed=0
    )
    for label, size in enumerate(sizes):
        tested = int(index.counts("test")[label]) if test else 0
        validated = int(index.counts("val")[label]) if val else 0
        assert abs(tested - size * test) < 1
        assert abs(validated - (size - tested) * val) < 1


def test_another_seed_gives_another_split():
    index = make_index([0, 1] * 50, list(range(100)))
    splits = [
        split_by_path(complete_splits(index, val_share=0.2, test_share=0.2, seed=seed))
        for seed in (0, 0, 1)
    ]
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize(
    ("count", "test", "val"), [(1, 0, 0), (2, 0, 1), (3, 1, 1), (20, 3, 3), (100, 15, 13)]
)
def test_sizes_of_small_and_large_classes(count, test, val):
    sizes = wanted(count, val_share=0.15, test_share=0.15)
    assert (sizes.test, sizes.val) == (test, val)


def test_given_splits_are_not_touched():
    labels = [0, 1] * 30
    given_splits = ["test" if row < 10 else "train" for row in range(60)]
    before = make_index(labels, list(range(60)), given_splits)
    after = complete_splits(before, val_share=0.2, test_share=0.3, seed=0)
    splits = after.table.column("split").to_pylist()
    assert splits[:10] == ["test"] * 10 and "test" not in splits[10:]
    assert splits.count("val") == 10
    assert any("validation split (10 images)" in note for note in after.notes)


def test_nothing_is_made_where_all_splits_are_given():
    before = make_index(
        [0, 1] * 3, list(range(6)), ["train", "train", "val", "val", "test", "test"]
    )
    after = complete_splits(before, val_share=0.2, test_share=0.3, seed=0)
    assert after.table.equals(before.table) and after.notes == ()


def test_a_twin_of_a_test_image_does_not_become_a_validation_image():
    labels = [0, 1] * 40
    contents = list(range(40)) * 2  # every training image has a twin in the test split
    splits = ["test" if row < 40 else "train" for row in range(80)]
    after = complete_splits(make_index(labels, contents, splits), val_share=0.3, test_share=0.1,
                            seed=0)  # fmt: skip
    assert after.table.column("split").to_pylist() == splits


def test_never_by_file_order(tmp_path, class_folders):
    class_folders(tmp_path, {"ants": 20, "bees": 20})
    index = open_images(str(tmp_path), val_share=0.25, test_share=0.25)
    for split in ("train", "val", "test"):
        counts = index.counts(split)
        assert counts[0] == counts[1] > 0
    ants = [path for path in index.split("test").table.column("path").to_pylist() if "ants" in path]
    assert ants not in ([f"ants/{n:03}.jpg" for n in range(5)],
                        [f"ants/{n:03}.jpg" for n in range(15, 20)])  # fmt: skip


def test_images_too_much_alike_are_split_by_content():
    labels = [0, 1] * 100
    index = make_index(labels, [5] * 200)
    distinct = index.table.set_column(
        6, "hash", pa.array([f"{row:08x}" for row in range(200)], pa.string())
    )
    index = ImageIndex(index.root, distinct, index.classes, "set", "made up")
    after = complete_splits(index, val_share=0.2, test_share=0.2, seed=0)
    assert after.split("val").table.num_rows == 32
    assert any("too much alike" in note for note in after.notes)


def test_only_groups_too_large_are_split_by_content():
    scene, *others = np.random.default_rng(2).integers(0, 2**63, 11).tolist()
    looks = [scene ^ (1 << frame % 3) for frame in range(100)]
    looks += [other ^ twin for other in others for twin in (0, 1)]
    index = make_index([row % 2 for row in range(120)], list(range(120)))
    column = index.table.schema.get_field_index("dhash")
    table = index.table.set_column(column, "dhash", pa.array(looks, pa.uint64()))
    groups, notes = groups_of(replace(index, table=table))
    assert groups[:100].tolist() == list(range(100))
    assert groups[100:].tolist() == [100 + pair // 2 * 2 for pair in range(20)]
    assert len(notes) == 2
    assert notes[0].startswith("10 groups of near-identical images were kept on one side")
    assert notes[1].startswith("100 images are too much alike")


def test_of_a_group_too_large_equal_files_stay_together():
    index = make_index([0, 1] * 60, [7] * 120)
    contents = pa.array([f"{row // 3:08x}" for row in range(120)], pa.string())
    column = index.table.schema.get_field_index("hash")
    groups, _ = groups_of(replace(index, table=index.table.set_column(column, "hash", contents)))
    assert groups.tolist() == [row // 3 * 3 for row in range(120)]
