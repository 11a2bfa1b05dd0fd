"""Sides of growing training images: a pure function of the epoch."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacewing.config import TrainConfig
from lacewing.errors import ModelError
from lacewing.models.build import check_size
from lacewing.models.catalog import find_model
from lacewing.planning.growth import (
    START,
    check_network,
    growing_sides,
    in_words,
    sides_of,
    with_growth_said,
    work_shares,
)

LITE = find_model("efficientnet_lite0")


@given(
    cells=st.integers(1, 80),
    multiple=st.sampled_from([1, 2, 8, 14, 16, 32, 64]),
    least=st.integers(16, 128),
    epochs=st.integers(1, 60),
)
def test_sides_grow_to_the_full_one_and_the_network_accepts_each(cells, multiple, least, epochs):
    full = -(-least // multiple) * multiple + cells * multiple
    sides = growing_sides(full, epochs, least, multiple)
    info = replace(LITE, min_size=least, size_multiple=multiple, fixed_size=False)
    for side in sides:
        check_size(info, side)
    assert len(sides) == epochs
    assert list(sides) == sorted(sides)
    assert sides[0] >= min(full, START * full)
    assert all(side == full for side in sides[epochs * 2 // 3 :])
    assert 0 < sum(work_shares(sides)) <= epochs
    assert work_shares(sides)[-1] == 1


@pytest.mark.parametrize(
    ("full", "epochs", "sides"),
    [
        (160, 6, (96, 96, 128, 128, 160, 160)),
        (224, 5, (160, 160, 192, 224, 224)),
        (128, 3, (96, 96, 128)),
        (160, 2, (96, 160)),
        (160, 1, (160,)),
        (64, 4, (64, 64, 64, 64)),
    ],
)
def test_some_sides(full, epochs, sides):
    assert growing_sides(full, epochs, 32, 1) == sides


def test_a_side_is_what_the_network_accepts():
    assert growing_sides(196, 6, 98, 14) == (154, 154, 154, 154, 196, 196)
    assert growing_sides(160, 4, 150, 1) == (160,) * 4


def test_sides_in_words():
    assert in_words((96, 96, 128, 160)) == (
        "96 pixels in epochs 1-2, 128 in 3, 160 from 4 on: 59% of the work at the last size"
    )
    assert in_words((96, 128)).startswith("96 pixels in epoch 1, 128 from 2 on")
    assert in_words((64, 64)) == "training images don't grow: 64 pixels leave no room below"
    assert in_words((160,)) == "training images don't grow: there is one epoch"


def test_they_grow_only_where_it_is_asked_for():
    assert sides_of(TrainConfig(epochs=3), LITE, 128) == ()
    assert sides_of(TrainConfig(epochs=3, progressive_resizing=True), LITE, 128) == (96, 96, 128)


@pytest.mark.parametrize("kind", ["fixed_size", "built_for_size"])
def test_a_network_of_one_size_is_refused(kind):
    info = replace(LITE, **{kind: True})
    check_network(TrainConfig(), info)
    with pytest.raises(ModelError, match="efficientnet_lite0 takes images of one size only"):
        check_network(TrainConfig(progressive_resizing=True), info)


def test_the_plan_tells_of_the_sides(plan_on):
    plan = plan_on("cpu_2core_24gb")
    assert with_growth_said(plan, ()) is plan
    told = with_growth_said(plan, (96, 96, 128)).image_size
    assert told.value == plan.image_size.value
    assert told.reason.startswith(plan.image_size.reason)
    assert "96 pixels in epochs 1-2, 128 from 3 on" in told.reason
    assert told.evidence["work_share"] == pytest.approx((2 * 0.5625 + 1) / 3, abs=1e-3)
