"""Flags beside a plan from a file."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.errors import ConfigError
from lacewing.performance_config import TIERS
from lacewing.planning.asked import check_asked
from lacewing.values import Choice


@pytest.fixture
def beside(plan_on, make_job):
    """`beside(plan, batch_size=32)`: check words beside a plan file, by default of 128 pixels."""

    def check(plan=None, images=1000, **words):
        plan = plan or plan_on("cpu_2core_24gb")
        config = TrainConfig(plan="plan.yaml", **words)
        check_asked(config, plan, make_job(training_images=images), TIERS[plan.tier.value])

    return check


def with_values(plan, **values):
    return replace(plan, **{name: Choice(value, "", "user") for name, value in values.items()})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"device": "cuda:1"}, "device cpu and --device says cuda:1"),
        ({"image_size": 64}, "image_size 128 and --image-size says 64"),
        ({"precision": "bf16"}, "precision fp32 and --precision says bf16"),
        ({"memory_format": "contiguous"}, "memory_format channels_last and --memory-format says"),
        ({"compile": "default"}, "compile off and --compile says default"),
        ({"workers": 0}, "workers 1 and --workers says 0"),
        ({"threads": 1}, "threads 2 and --threads says 1"),
        ({"memory_share": 0.9}, "memory_share 0.5 and --memory-share says 0.9"),
        ({"batch_size": 64}, "batch 16 and --batch-size says 64"),
        ({"batch_size": 40, "accumulate": True}, "batch 16 and --batch-size says 40"),
        ({"batch_size": "auto"}, "batch 16 and --batch-size says auto"),
        ({"learning_rate": 0.1}, "learning_rate 0.00015 and --learning-rate says 0.1:"),
        (
            {"learning_rate": 0.1, "batch_size": 40},
            "learning_rate 0.00015 and --learning-rate says 0.1, which is 0.04 at its batch:",
        ),
    ],
)
def test_a_flag_that_the_file_contradicts_is_refused(beside, words, said):
    with pytest.raises(ConfigError) as refused:
        beside(**words)
    assert f"--plan plan.yaml says {said}" in str(refused.value)
    assert str(refused.value).endswith("change the file, or leave the flag out.")


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"device": "auto", "learning_rate": "auto", "precision": None},
        {"device": "cpu", "image_size": 128, "precision": "fp32", "compile": "off"},
        {"workers": 1, "threads": 2, "memory_share": 0.5, "memory_format": "channels_last"},
        {"batch_size": 16},
        {"batch_size": 40},  # 0.4 of it, the tier's share
        {"batch_size": 16, "accumulate": True},
        {"learning_rate": 0.00015},
        {"learning_rate": 0.000375, "batch_size": 40},
    ],
)
def test_a_flag_that_says_the_same_is_not(beside, words):
    beside(**words)


def test_a_share_of_the_batch_may_be_rounded_on_a_device_alone(beside, plan_on):
    """0.3 of 64 are 19, and the trial tries 24."""
    on_device = with_values(plan_on("gtx1050_2gb"), batch=24, micro_batch=24)
    assert on_device.tier.value == "low"
    for size in (19, 24, 32):
        beside(with_values(on_device, batch=size, micro_batch=size), batch_size=64)
    with pytest.raises(ConfigError, match="batch 16 and --batch-size says 64"):
        beside(batch_size=64)


def test_a_batch_of_auto_goes_with_one_that_was_measured(beside, plan_on):
    plan = plan_on("cpu_2core_24gb")
    beside(replace(plan, batch=replace(plan.batch, source="measured")), batch_size="auto")


def test_the_first_device_needs_no_number(beside, plan_on):
    beside(plan_on("h100_80gb"), device="cuda")
    beside(with_values(plan_on("h100_80gb"), device="cuda:1"), device="cuda:1")
    with pytest.raises(ConfigError, match="says device cuda:1 and --device says cuda:"):
        beside(with_values(plan_on("h100_80gb"), device="cuda:1"), device="cuda")


@pytest.mark.parametrize("batch", [6, 10, 13, 32])
def test_whatever_a_trial_makes_of_a_batch_and_its_rate_is_obeyed(beside, plan_on, batch):
    plan = with_values(
        plan_on("cpu_2core_24gb"), batch=batch, micro_batch=batch, learning_rate=0.1 * batch / 32
    )
    beside(plan, batch_size=32, learning_rate=0.1)


def test_a_batch_of_all_images_is_what_a_larger_one_comes_to(beside, plan_on):
    plan = with_values(plan_on("cpu_2core_24gb"), batch=20)
    beside(plan, images=20, batch_size=64, accumulate=True)


@pytest.mark.parametrize("machine", ["cpu_2core_24gb", "directml_laptop", "gtx1650_4gb"])
@pytest.mark.parametrize("accumulate", [False, True])
def test_the_words_that_made_a_plan_go_with_it(beside, plan_on, machine, accumulate):
    words = {"batch_size": 24, "learning_rate": 0.01, "accumulate": accumulate, "image_size": 96,
             "threads": 1, "workers": 1, "memory_share": 0.3}  # fmt: skip
    beside(plan_on(machine, **words), **words)
