"""What a budget would buy, by given speeds."""

from dataclasses import replace

import pytest

from lacewing.models.catalog import find_model
from lacewing.training.recipe import outlook
from lacewing.training.recipe.closing import LEEWAY, REPORT_SECONDS
from lacewing.training.recipe.outlook import Amounts, Speeds, look_ahead, outlook_rows
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
    assert minute.finetuning is None
    assert ten.finetuning.epochs >= 3
    assert hour.finetuning.size >= ten.finetuning.size
    assert hour.finetuning.epochs > ten.finetuning.epochs
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


def test_speeds_are_measured_at_the_networks_own_size(small):
    speeds = outlook.measure_speeds(prepare(small(device="cpu")))
    info = find_model("test_resnet")
    assert speeds.forward.size == speeds.judging.size == info.native_size
    assert speeds.training.size < info.native_size
    measured = (speeds.forward, speeds.judging, speeds.training)
    assert min(one.images_per_second for one in measured) > 0
    assert speeds.decoding > 0
