"""Requested batch, micro-batch, passes and effective batch."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.performance_config import TIERS
from lacewing.planning.make import make_plan
from lacewing.planning.rules.batch import (
    accumulated,
    choose_eval_batch,
    choose_unasked,
    eval_batch_within,
)
from lacewing.values import GIB, MIB, Choice


def sizes(plan):
    return plan.micro_batch.value, plan.accumulation.value, plan.batch.value


@pytest.mark.parametrize(
    ("machine", "asked", "expected"),
    [
        ("h100_80gb", 16, 16),
        ("gtx1650_4gb", 16, 11),
        ("gtx1050_2gb", 16, 5),
        ("directml_laptop", 16, 5),
        ("cpu_2core_24gb", 16, 6),
        ("cpu_laptop_4core_8gb", 32, 6),
        ("cpu_laptop_4core_8gb", 16, 4),  # 3.2: too few for BatchNorm
        ("cpu_2core_24gb", 4, 4),
        ("cpu_2core_24gb", 2, 2),
        ("h100_80gb", 5000, 1000),  # all the images there are
    ],
)
def test_the_tiers_share_of_the_requested_batch(plan_on, machine, asked, expected):
    plan = plan_on(machine, batch_size=asked)
    assert sizes(plan) == (expected, 1, expected)
    assert plan.micro_batch.source == ("user" if expected == asked else "rule")


@pytest.mark.parametrize(
    ("batch", "micro", "expected"),
    [
        (16, 6, (6, 3)),  # 6, 5, 5
        (16, 11, (8, 2)),
        (16, 5, (4, 4)),
        (16, 16, (16, 1)),
        (9, 4, (5, 2)),  # 4, 4, 1 would leave one image to BatchNorm
        (7, 4, (7, 1)),
        (41, 4, (5, 9)),
        (3, 1, (3, 1)),
    ],
)
def test_accumulation_makes_even_passes(batch, micro, expected):
    choices = accumulated(batch, batch, Choice(micro, "", "rule"))
    assert (choices.micro_batch.value, choices.accumulation.value) == expected
    assert (choices.batch.value, choices.batch.source) == (batch, "user")


def test_accumulation_can_make_no_more_than_there_is(plan_on, make_job):
    plan = plan_on("cpu_2core_24gb", make_job(training_images=10), batch_size=64, accumulate=True)
    assert sizes(plan) == (5, 2, 10)
    assert plan.batch.source == "rule"
    assert plan.batch.reason.startswith("all the training images")


def test_without_a_request_the_tier_decides():
    assert choose_unasked(TIERS["high"], 1000).value == TIERS["high"].default_batch
    assert choose_unasked(TIERS["high"], 3).value == 3


@pytest.mark.parametrize(("micro", "expected"), [(1, 8), (4, 8), (6, 12), (32, 64), (256, 64)])
def test_forward_only_passes_take_twice_the_images(micro, expected):
    assert choose_eval_batch(micro, 128, "cpu", 64 * GIB).value == expected
    assert choose_eval_batch(micro, 128, "directml", None).value == expected


@pytest.mark.parametrize(("allowed", "expected"), [(64 * GIB, 256), (GIB, 136), (0, 1)])
def test_those_of_a_gpu_are_large_where_its_memory_holds_them(allowed, expected):
    """Each starts hundreds of kernels, however few its images."""
    assert choose_eval_batch(4, 128, "cuda", allowed).value == expected


@pytest.mark.parametrize(
    ("side", "allowed", "expected"),
    [(128, None, 32), (128, 240 * MIB, 32), (128, 239 * MIB, 31), (256, 240 * MIB, 8), (128, 0, 1)],
)
def test_an_unmeasured_pass_has_what_the_memory_is_likely_to_hold(side, allowed, expected):
    """An image of 128 pixels has 0.19 MiB in floats, of which forty times are 7.5."""
    usual = Choice(32, "", "rule")
    found = eval_batch_within(usual, side, allowed)
    assert found.value == expected
    assert (found is usual) is (expected == 32)
    if side == 256:
        assert found.reason == "about 30.0 MiB each, of the 240.0 MiB allowed"


@pytest.mark.parametrize(("eval_size", "expected"), [(None, 20), (256, 5)])
def test_a_plan_without_a_trial_is_within_its_memory(recorded, make_job, eval_size, expected):
    machine = replace(recorded("cpu_2core_24gb"), memory_free_bytes=300 * MIB)
    plan = make_plan(TrainConfig(recipe="features", eval_size=eval_size), machine, make_job())
    assert plan.eval_batch.value == expected
