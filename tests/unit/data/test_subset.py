"""A sample of a data set: stratified, seeded, nested, and without touching the test split."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lacewing.data.index import SCHEMA, ImageIndex
from lacewing.data.subset import draw_subset, times_larger

COUNTS = {"train": (200, 40, 3), "val": (50, 10, 1), "test": (30, 20, 10)}
"""Images of three classes."""


@pytest.fixture
def whole() -> ImageIndex:
    rows = [
        (split, label, number)
        for split, counts in COUNTS.items()
        for label, count in enumerate(counts)
        for number in range(count)
    ]
    names = [f"{split}-{label}-{number}" for split, label, number in rows]
    table = pa.table(
        {
            "path": names,
            "label": [label for _, label, _ in rows],
            "split": [split for split, _, _ in rows],
            "width": [8] * len(rows),
            "height": [8] * len(rows),
            "bytes": [9] * len(rows),
            "hash": names,
            "dhash": [0] * len(rows),
        },
        schema=SCHEMA,
    )
    return ImageIndex(Path("nowhere"), table, ("a", "b", "c"), "set", "made up")


def contents(index: ImageIndex) -> set[str]:
    return set(index.table.column("hash").to_pylist())


def test_each_class_keeps_its_share_but_never_fewer_than_the_least(whole):
    drawn = draw_subset(whole, 0.1, 5, seed=0)
    assert drawn.counts("train").tolist() == [20, 5, 3]
    assert drawn.counts("val").tolist() == [5, 5, 1]
    assert drawn.counts("test").tolist() == list(COUNTS["test"])


def test_the_draw_depends_on_seed_and_content_and_not_on_the_order(whole):
    drawn = contents(draw_subset(whole, 0.2, 5, seed=0))
    shuffled = whole.take(np.random.default_rng(0).permutation(len(whole)))
    assert contents(draw_subset(shuffled, 0.2, 5, seed=0)) == drawn
    assert contents(draw_subset(whole, 0.2, 5, seed=1)) != drawn


def test_a_larger_share_holds_the_smaller(whole):
    assert contents(draw_subset(whole, 0.1, 2, 0)) < contents(draw_subset(whole, 0.3, 2, 0))


def test_rows_stay_in_their_order_and_a_share_of_one_is_all(whole):
    drawn = draw_subset(whole, 0.5, 1, 0).table.column("path").to_pylist()
    assert drawn == [path for path in whole.table.column("path").to_pylist() if path in drawn]
    assert draw_subset(whole, 1.0, 1, 0).table.equals(whole.table)


def test_it_is_said_and_kept_how_much_there_was(whole, tmp_path):
    drawn = draw_subset(whole, 0.1, 5, seed=3)
    assert "28 of 243 training and 11 of 61 validation images" in drawn.notes[-1]
    drawn.save(tmp_path / "index.arrow")
    again = ImageIndex.load(tmp_path / "index.arrow")
    assert times_larger(again) == pytest.approx({"train": 243 / 28, "val": 61 / 11})
    assert again.summary()["whole"] == {"train": 243, "val": 61}
    assert times_larger(whole) is None
    assert "whole" not in whole.summary()
