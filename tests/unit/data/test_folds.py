"""Folds: every image once, classes spread evenly, near-identical images together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lacewing.data.folds import fold_numbers, fold_of
from lacewing.data.index import SCHEMA, ImageIndex
from lacewing.data.subset import draw_subset, times_larger
from lacewing.errors import DataError


@pytest.fixture
def make() -> Callable[..., ImageIndex]:
    """`make(labels, contents, splits)`: images that are near-identical where contents are equal."""

    def index(labels: list[int], contents: list[int], splits: list[str]) -> ImageIndex:
        count = len(labels)
        looks = np.random.default_rng(1).integers(0, 2**63, 5000, dtype=np.uint64)
        columns = [
            [f"{row}.jpg" for row in range(count)],
            labels,
            splits,
            *([64] * count, [64] * count, [1000] * count),
            [f"{row:04}-{content}" for row, content in enumerate(contents)],
            [int(looks[content]) for content in contents],
        ]
        table = pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)
        return ImageIndex(Path("nowhere"), table, ("a", "b", "c"), "set", "made up")

    return index


@pytest.fixture
def whole(make) -> ImageIndex:
    """43 images to deal and 10 test images, of three classes."""
    labels = [0] * 23 + [1] * 12 + [2] * 8 + [0, 1] * 5
    splits = ["train", "val", "train"] * 14 + ["train"] + ["test"] * 10
    return make(labels, list(range(53)), splits)


def test_each_class_is_spread_evenly_and_so_are_all(whole):
    numbers, _ = fold_numbers(whole, 5, seed=0)
    labels = whole.column("label")
    for label in range(3):
        counts = np.bincount(numbers[(labels == label) & (numbers > 0)], minlength=6)[1:]
        assert counts.max() - counts.min() <= 1
    sizes = np.bincount(numbers)[1:]
    assert sizes.max() - sizes.min() <= 1
    assert set(numbers[whole.column("split") == "test"]) == {0}


def test_near_identical_images_stay_together(make):
    contents = [number // 3 for number in range(45)]
    whole = make([0, 0, 0, 1, 1, 1, 2, 2, 2] * 5, contents, ["train"] * 45)
    numbers = fold_numbers(whole, 3, seed=0)[0].reshape(-1, 3)
    assert (numbers == numbers[:, :1]).all()
    assert np.bincount(numbers.ravel())[1:].tolist() == [15, 15, 15]


def test_a_group_too_large_for_one_fold_is_said_once(make):
    whole = make([0, 1, 2] * 40, [7] * 120, ["train", "val"] * 60)
    part = fold_of(whole, 3, 1, seed=0)
    assert len(part.notes) == 2 and part.notes[0].startswith("120 images are too much alike")
    said = fold_of(replace(whole, notes=part.notes[:1]), 3, 1, seed=0)
    assert said.notes == part.notes


def test_the_deal_depends_on_seed_and_content_and_not_on_the_order(whole):
    order = np.random.default_rng(0).permutation(len(whole))
    numbers, _ = fold_numbers(whole, 4, seed=0)
    again, _ = fold_numbers(whole.take(order), 4, seed=0)
    np.testing.assert_array_equal(again, numbers[order])
    assert (fold_numbers(whole, 4, seed=1)[0] != numbers).any()


def test_each_fold_validates_on_its_own_part_and_sees_no_test_image(whole):
    validated: list[str] = []
    for fold in (1, 2, 3):
        part = fold_of(whole, 3, fold, seed=0)
        assert len(part) == 43
        assert len(part.split("test")) == 0
        validated += part.split("val").table.column("path").to_pylist()
        assert f"Fold {fold} of 3" in part.notes[-1]
    assert len(validated) == len(set(validated)) == 43


def test_the_last_run_trains_on_everything_but_the_test_split(whole):
    last = fold_of(whole, 3, 0, seed=0)
    assert [len(last.split(name)) for name in ("train", "val", "test")] == [43, 0, 10]
    tested = whole.split("test").table.column("path")
    assert last.split("test").table.column("path").equals(tested)


def test_of_a_sample_the_whole_is_dealt_out_too(whole):
    drawn = draw_subset(whole, 0.5, 1, seed=0)
    images = len(drawn) - 10
    last, first = (fold_of(drawn, 4, fold, seed=0) for fold in (0, 1))
    assert times_larger(last)["train"] == pytest.approx(43 / images)
    assert last.details["whole"] == {"train": 43, "val": 0}
    assert times_larger(first) == pytest.approx({"train": 43 / images, "val": 43 / images}, rel=0.1)
    assert sum(first.details["whole"].values()) == 43
    assert "whole" not in fold_of(whole, 4, 1, seed=0).details


def test_too_few_images_are_refused(make):
    with pytest.raises(DataError, match="too few training images for 3 folds: fold 3 gets none"):
        fold_of(make([0, 1], [0, 1], ["train"] * 2), 3, 1, seed=0)
