"""The micro-batch: the smallest that is about as fast as the fastest."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.performance_config import TIERS
from lacewing.planning.trial.findings import Timed
from lacewing.planning.trial.sizes import (
    choose,
    choose_largest,
    climb,
    descend,
    largest,
    open_sizes,
)


def test_the_smallest_within_three_percent(way):
    rates = {4: 50, 8: 97, 16: 99, 32: 100}
    found = [Timed(way=way(images=n), seconds=n / rate) for n, rate in rates.items()]
    assert choose(found).way.images == 8


def test_the_climb_ends_two_doublings_after_the_last_gain(way):
    seconds = {4: 0.1, 8: 0.15, 16: 0.3, 32: 0.6, 64: 1.2, 128: 2.4}
    ran = []

    def run(sized):
        ran.append(sized.images)
        return seconds[sized.images]

    found = climb(way(), tuple(seconds), run, lambda: True, most=10**6)
    assert [one.way.images for one in found] == [4, 8, 16, 32]
    assert choose(found).way.images == 8
    assert ran.count(4) == 4


def test_it_stays_below_what_the_memory_holds_and_stops_at_a_failure(way):
    found = climb(way(), (4, 8, 16), lambda _: 1.0, lambda: True, most=8)
    assert [one.way.images for one in found] == [4, 8]
    full = climb(way(), (4, 8, 16), lambda one: 1.0 if one.images < 8 else "full", lambda: True, 99)
    assert [one.out for one in full] == ["", "full"]


def test_time_is_asked_for_after_the_first(way):
    assert len(climb(way(), (4, 8), lambda _: 1.0, lambda: False, most=99)) == 1


@pytest.mark.parametrize(
    ("tier", "requested", "planned", "expected"),
    [
        ("cpu", 32, 13, (6, 10, 13)),
        ("cpu", 16, 6, (4, 5, 6)),
        ("cpu", 4, 4, ()),
        ("high", 32, 32, ()),
        ("mid", 32, 22, ()),
        ("cpu", "auto", 16, (4, 8, 16, 32, 64)),
        ("cpu", None, 16, ()),
        ("low", 32, 10, ()),
    ],
)
def test_which_sizes_are_open(plan_on, make_job, tier, requested, planned, expected):
    plan = plan_on("cpu_2core_24gb")
    plan = replace(plan, micro_batch=replace(plan.micro_batch, value=planned))
    config = TrainConfig(batch_size=requested)
    job = make_job(training_images=100)
    assert open_sizes(plan, config, TIERS[tier], job) == expected


@pytest.mark.parametrize(
    ("requested", "planned", "expected"),
    [(64, 32, (24, 32)), (32, 16, (10, 13, 16)), (100, 50, (32, 40, 48)), (34, 17, (10, 14, 16))],
)
def test_sizes_of_a_device_are_multiples_of_eight_within_the_tiers_shares(
    plan_on, make_job, requested, planned, expected
):
    plan = plan_on("gtx1650_4gb")
    plan = replace(plan, micro_batch=replace(plan.micro_batch, value=planned))
    config = TrainConfig(batch_size=requested)
    assert open_sizes(plan, config, TIERS["low"], make_job()) == expected


@pytest.mark.parametrize(
    ("requested", "expected"), [(64, (16, 32, 64)), (48, (12, 16, 24, 48)), (50, (13, 17, 25, 50))]
)
def test_a_batch_of_a_device_is_parted_in_multiples_of_eight_if_it_is_one(
    plan_on, make_job, requested, expected
):
    config = TrainConfig(batch_size=requested, accumulate=True)
    assert open_sizes(plan_on("gtx1650_4gb"), config, TIERS["low"], make_job()) == expected


def test_a_tiny_data_set_is_one_batch(plan_on, make_job):
    config = TrainConfig(batch_size="auto")
    plan = plan_on("cpu_2core_24gb")
    assert open_sizes(plan, config, TIERS["cpu"], make_job(training_images=3)) == (3,)


@pytest.mark.parametrize(
    ("requested", "expected"),
    [(16, (4, 6, 8, 16)), (64, (16, 22, 32, 64)), (4, ()), (9, (5, 9)), (500, (25, 34, 50, 100))],
)
def test_with_accumulation_only_the_memory_bounds_a_pass(plan_on, make_job, requested, expected):
    config = TrainConfig(batch_size=requested, accumulate=True)
    job = make_job(training_images=100)
    plan = plan_on("cpu_2core_24gb")
    assert open_sizes(plan, config, TIERS["cpu"], job) == expected
    assert largest(plan, config, TIERS["cpu"], job) == max((plan.micro_batch.value, *expected))


def test_a_batch_that_is_kept_is_parted_only_for_a_clear_gain(way):
    def found(rates):
        return [Timed(way=way(images=n), seconds=n / rate) for n, rate in rates.items()]

    assert choose_largest(found({4: 100, 8: 104, 16: 95})).way.images == 16
    assert choose_largest(found({4: 100, 8: 120, 16: 95})).way.images == 8


def test_the_largest_pass_is_timed_first_and_whatever_the_time(way):
    ran = descend(way(), (4, 8, 16), lambda _: 1.0, lambda: False, most=99)
    assert [one.way.images for one in ran] == [16]
    ran = descend(way(), (4, 8, 16), lambda _: 1.0, lambda: True, most=8)
    assert [one.way.images for one in ran] == [8, 4]
