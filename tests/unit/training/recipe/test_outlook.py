"""What a budget would buy, by given speeds."""

from dataclasses import replace

import pytest

from lacewing.models.catalog import find_model
from lacewing.training.recipe import outlook
from lacewing.training.recipe.closing import LEEWAY, REPORT_SECONDS
from lacewing.training.recipe.outlook import (
    Amounts,
    Speeds,
    look_ahead,
    look_at_classic,
    outlook_rows,
)
from lacewing.training.recipe.size import Speed
from lacewing.training.setup import prepare

LITE = find_model("efficientnet_lite0")
AMOUNTS = Amounts(train=1200, val=200, test=400, classes=12, tta="auto")
SPEEDS = Speeds(
    forward=Speed(224, 400.0), judging=Speed(224, 200.0), training=Speed(112, 40.0), decoding=0.004
)


def look(seconds, **speeds):
    return look_ahead(LITE, AMOUNTS, replace(SPEEDS, **speeds), seconds, spent=10.0)


def test_more_time_buys_larger_images_then_fine_tuning_then_more_epochs():
    minute, ten, hour = (look(seconds) for seconds in (60.0, 600.0, 3600.0))
    assert (minute.features.size, minute.features.views) == (256, 1)
    assert minute.training is None
    assert ten.training.epochs >= 3
    assert hour.training.size >= ten.training.size
    assert hour.training.epochs > ten.training.epochs
    assert all(one.needed <= one.seconds for one in (minute, ten, hour))


def test_the_time_is_that_of_reading_pass_fine_tuning_and_judging():
    found = look(60.0)
    passing = 1400 / 400 * (256 / 224) ** 2 + 1400 * 0.004
    closing = REPORT_SECONDS + 800 * 0.004 + (600 / 200 + 200 / 400) * (256 / 224) ** 2
    # so short a time has room for the comparison of two frames, not for mirrored views
    views = LEEWAY * 2 * (200 * 0.004 + 200 / 400 * (256 / 224) ** 2)
    assert found.needed == pytest.approx(10.0 + passing + closing + views)


def test_a_budget_that_is_too_short_is_called_so():
    found = look(20.0, forward=Speed(224, 40.0))
    assert found.features.size == 128
    (row,) = outlook_rows([found])
    assert row[:4] == ("20 s", "efficientnet_lite0", "128 pixels, one view", "none")
    assert row[4].startswith("too short: about ")


def with_amounts(seconds, **amounts):
    return look_ahead(LITE, replace(AMOUNTS, **amounts), SPEEDS, seconds, spent=10.0)


def test_features_alone_are_not_followed_by_epochs_however_long_the_budget():
    found = with_amounts(8 * 3600.0, tunes=False)
    assert found.training is None
    assert outlook_rows([found])[0][3] == "none"


def test_an_asked_image_size_stands_and_asked_epochs_too():
    found = with_amounts(3600.0, size=160, epochs=5)
    assert found.features.size == 160
    assert found.training.epochs == 5
    assert found.training.size <= 160
    short = with_amounts(60.0, epochs=5)
    assert short.training.epochs == 5
    assert outlook_rows([short])[0][4].startswith("too short")


def test_what_is_not_judged_takes_no_time():
    judging = 600 * 0.004 + 600 / 200 * (256 / 224) ** 2
    least = with_amounts(60.0).needed - with_amounts(60.0, judges=False).needed
    assert least >= judging * 0.999


def test_the_amounts_are_those_of_the_recipe_that_train_would_carry_out(small, weights_file):
    words = {"weights": weights_file, "image_size": None, "epochs": 10, "recipe": "auto"}

    def amounts(**fields):
        return outlook.amounts_of(outlook.of_recipe(prepare(small(**{**words, **fields}))))

    usual = amounts()
    assert (usual.tunes, usual.size, usual.epochs, usual.judges) == (True, None, None, True)
    assert (usual.tta, usual.mixes) == ("auto", True)
    asked = amounts(recipe="features", image_size=48, evaluate=False, epochs=7)
    assert (asked.tunes, asked.size, asked.epochs, asked.judges) == (False, 48, 7, False)


def test_what_train_would_do_classically_goes_on_for_as_long_as_there_is_time(small):
    prepared = outlook.of_recipe(prepare(small(recipe="auto", image_size=32, eval_size=48)))
    assert prepared.config.is_classic
    assert outlook.amounts_of(prepared).size == 32
    amounts = replace(AMOUNTS, size=112)
    epoch = 1200 / 40 + 200 / 400 / 4
    beside = 10.0 + REPORT_SECONDS + 600 * 0.004 + 600 / 200 / 4
    seconds = (beside + epoch + 1400 * 0.004 + 4.5 * epoch) / 0.99
    found = look_at_classic(LITE, amounts, SPEEDS, seconds, spent=10.0)
    assert (found.features, found.training.size, found.training.epochs) == (None, 112, 6)
    assert found.needed == pytest.approx(0.99 * seconds), "the clock ends the last epoch"
    part = look_at_classic(LITE, amounts, SPEEDS, beside + epoch, spent=10.0)
    late = look_at_classic(LITE, amounts, SPEEDS, beside - 1, spent=10.0)
    rows = outlook_rows([found, part, late])
    assert rows[0][2:4] == ("none: classic training", "6 epochs at 112 pixels")
    assert rows[1][3] == rows[2][3] == "a part of an epoch at 112 pixels"
    assert [row[4].startswith("too short") for row in rows] == [False, False, True]


def test_speeds_are_measured_at_the_networks_own_size(small):
    speeds = outlook.measure_speeds(prepare(small(device="cpu")))
    info = find_model("test_resnet")
    assert speeds.forward.size == speeds.judging.size == info.native_size
    assert speeds.training.size < info.native_size
    measured = (speeds.forward, speeds.judging, speeds.training)
    assert min(one.images_per_second for one in measured) > 0
    assert speeds.decoding > 0
