"""Image size of the feature pass, and length of fine-tuning: pure choices."""

from dataclasses import replace
from functools import partial

import pytest

from lacewing.models.catalog import find_model
from lacewing.training.recipe.length import ENOUGH_EPOCHS, MOST_EPOCHS, choose_length
from lacewing.training.recipe.size import (
    Allowance,
    Pass,
    Speed,
    choose_pass,
    sizes_for,
    views_for,
)

LITE = find_model("efficientnet_lite0")
SPEED = Speed(224, 160.0)


def test_sizes_stand_around_the_native_one():
    assert sizes_for(LITE) == [256, 224, 192, 160, 128]


def test_a_multiple_that_the_network_wants_is_kept():
    info = replace(LITE, size_multiple=14, native_size=518, min_size=98)
    assert all(size % 14 == 0 for size in sizes_for(info))


def allowed(left, judged=0, beside=1000.0):
    return Allowance(left, Speed(224, 80.0), judged, beside)


@pytest.mark.parametrize(
    ("left", "expected"),
    [(2500, Pass(256, 1)), (30, Pass(256, 1)), (25, Pass(224, 1)), (10, Pass(128, 1)),
     (0.25, Pass(128, 1))],
)  # fmt: skip
def test_the_largest_pass_that_its_share_of_the_time_allows(left, expected):
    chosen = choose_pass(LITE, 1440, 1, SPEED, allowed(left))
    assert chosen.value == expected
    assert chosen.source == "measured"


def test_a_short_run_gives_the_pass_all_that_judging_leaves():
    # at 224 pixels: 9 s of 1,440 images, 5 s of the 400 that are judged, and 3 s beside
    run = partial(choose_pass, LITE, 1440, 1, SPEED)
    assert run(allowed(20.1)).value.size == 192
    assert run(allowed(20.1, judged=400, beside=3.0)).value.size == 224
    assert run(allowed(19.9, judged=400, beside=3.0)).value.size == 192


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("left", [15, 25, 50, 100])
def test_a_chosen_pass_is_allowed(left, views):
    allowance = allowed(left, judged=500, beside=3.0)
    chosen = choose_pass(LITE, 1440, views, SPEED, allowance).value
    assert SPEED.seconds(1440 * chosen.views, chosen.size) <= allowance.at(chosen.size)


def test_a_network_of_one_size_keeps_it():
    short, long = allowed(0.25), allowed(99)
    assert choose_pass(replace(LITE, fixed_size=True), 9, 1, SPEED, short).value.size == 224
    assert choose_pass(replace(LITE, built_for_size=True), 9, 1, SPEED, long).value.size == 224


def test_time_goes_with_the_pixels():
    assert SPEED.seconds(160, 448) == pytest.approx(4.0)


def test_few_images_are_also_seen_mirrored():
    assert views_for(119, 12) == 2
    assert views_for(120, 12) == 1


def length(seconds, images=1200, speed=25.0, eval_size=256):
    return choose_length(LITE, eval_size, images, Speed(128, speed), 2.0, seconds)


@pytest.mark.parametrize("seconds", [10, 125])
def test_no_time_for_enough_epochs_is_no_fine_tuning(seconds):
    assert length(seconds) is None


def test_little_time_goes_to_small_images():
    assert length(180).size == 128


def test_the_clock_ends_the_last_epoch():
    """Three epochs of 50 s fit, and a part of a fourth."""
    found = length(180)
    assert (found.epochs, found.seconds) == (4, 180)


def test_much_time_goes_to_large_images_and_ends():
    found = length(100_000)
    assert (found.size, found.epochs) == (192, MOST_EPOCHS)


@pytest.mark.parametrize("seconds", [180, 200, 500, 1000, 3000])
def test_the_forecast_fits_the_time(seconds):
    found = length(seconds)
    assert 0 < found.seconds <= seconds
    assert found.epochs >= ENOUGH_EPOCHS


def test_asked_epochs_stand_and_the_size_gives_way():
    few, many, endless = (
        choose_length(LITE, 256, 1200, Speed(128, 25.0), 2.0, seconds, 5)
        for seconds in (10, 1300, float("inf"))
    )
    assert [found.epochs for found in (few, many, endless)] == [5, 5, 5]
    assert [found.size for found in (few, many, endless)] == [128, 192, 192]


@pytest.mark.parametrize("seconds", [180, 300, 500, 1000])
def test_more_epochs_or_larger_images_fit_where_they_grow(seconds):
    grown = choose_length(LITE, 256, 1200, Speed(128, 25.0), 2.0, seconds, grows=True)
    plain = length(seconds)
    assert 0 < grown.seconds <= seconds
    assert (grown.size, grown.epochs) > (plain.size, plain.epochs)


def test_growing_epochs_are_counted_by_their_pixels():
    plain, grown = (
        choose_length(LITE, 160, 1000, Speed(128, 100.0), 2.0, 1e9, 3, grows=grows)
        for grows in (False, True)
    )
    assert (plain.size, grown.size) == (128, 128)
    assert plain.seconds == pytest.approx(3 * (1.1 * 10 + 2))
    assert grown.seconds == pytest.approx((0.5625 * 2 + 1) * 1.1 * 10 + 3 * 2)


def test_training_images_are_smaller_than_judged_ones():
    assert length(3000, eval_size=224).size <= 0.8 * 224
