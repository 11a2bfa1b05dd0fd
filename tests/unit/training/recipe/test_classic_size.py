"""The image size gives way to the budget of classic training."""

from dataclasses import replace

import pytest

from lacewing.models.catalog import find_model
from lacewing.planning.measured import Measured
from lacewing.training.recipe.classic_size import (
    first_within,
    fitting_size,
    smaller_sizes,
    with_size_fitted,
)
from lacewing.training.setup import prepare


@pytest.fixture
def tried(small):
    """`tried(run, **fields)`: a classic run of two epochs that would take so many seconds, after a
    trial that took `trial`."""

    def make(run, trial=0.0, **fields):
        words = {"image_size": None, "epochs": 2, "budget": 100.0, "device": "cpu", **fields}
        found = prepare(small(**words))
        measured = Measured(forecast={"run_seconds": run}, seconds=trial)
        return replace(found, plan=replace(found.plan, measured=measured))

    return make


def test_a_run_that_is_too_long_is_made_with_smaller_images(tried):
    given = tried(150.0)  # 99 s but for 6 of the report and 3 gone: 90 are left
    assert given.plan.image_size.value == 128
    found = with_size_fitted(given, given, spent=3.0)
    assert found.plan.image_size.value == found.config.image_size == 96
    assert found.plan.image_size.source == "measured"
    assert (
        "2 epochs at 128 would take 2 min 30 s of 1 min 30 s, at 96 about 1 min 24 s"
        in found.plan.image_size.reason
    )


def test_what_no_size_is_small_enough_for_gets_the_smallest(tried):
    assert fitting_size(tried(9999.0), 0.0).value == 64


@pytest.mark.parametrize(
    "fields", [{"image_size": 128}, {"budget": None}, {"recipe": "features", "epochs": 10}]
)
def test_what_was_asked_for_stays(tried, fields):
    assert fitting_size(tried(150.0, **fields), 0.0) is None


def test_a_run_that_fits_stays(tried):
    given = tried(93.0)
    assert with_size_fitted(given, given, spent=0.0) is None


@pytest.mark.parametrize(("trial", "size"), [(0.0, 96), (15.0, 96), (45.0, 64)])
def test_another_size_leaves_time_for_its_trial(tried, trial, size):
    """Of 93 s; at 96 pixels 94 s of the run are 53 s, and at 64 they are 24."""
    assert fitting_size(tried(94.0, trial), 0.0).value == size
    assert fitting_size(tried(93.0, trial), 0.0) is None, "the same size keeps what was measured"


def test_where_auto_fell_back_the_epochs_give_way(tried):
    given = tried(150.0)
    asked = replace(given.asked, recipe="auto")
    config = replace(given.config, recipe="classic")
    assert fitting_size(replace(given, asked=asked, config=config), 0.0) is None


def test_sizes_are_those_that_the_network_takes():
    assert smaller_sizes(find_model("resnet18"), 196) == [192, 160, 128]
    assert smaller_sizes(find_model("vit_tiny_patch16_224"), 224) == []
    assert first_within([96, 64], 128, 100.0, 57.0) == 96
    assert first_within([96, 64], 128, 100.0, 56.0) == 64
