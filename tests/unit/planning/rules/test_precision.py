"""Precision and memory format, for training and for forward-only passes."""

import pytest

from lacewing.errors import DeviceError
from lacewing.hardware.machine import Device
from lacewing.performance_config import TIERS
from lacewing.planning.rules.precision import choose


@pytest.mark.parametrize(
    ("machine", "training", "forward_only"),
    [
        ("h100_80gb", "bf16", "bf16"),
        ("t4_16gb", "fp16", "fp16"),
        ("apple_m1_16gb", "bf16", "bf16"),
        ("directml_laptop", "fp32", "fp32"),
        ("cpu_2core_24gb", "fp32", "bf16"),
        ("cpu_laptop_4core_8gb", "fp32", "fp32"),
    ],
)
def test_the_precisions_of_a_machine(plan_on, machine, training, forward_only):
    plan = plan_on(machine)
    assert (plan.precision.value, plan.eval_precision.value) == (training, forward_only)
    assert plan.execution.precision == training
    assert plan.eval_execution.precision == forward_only


def test_tf32_where_nothing_narrower_passed():
    device = Device(name="GPU", kind="cuda", precisions=("fp32", "tf32"))
    assert choose(None, device, TIERS["high"]).value == "tf32"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_asked_precision_holds_for_both(plan_on, precision):
    plan = plan_on("cpu_2core_24gb", precision=precision)
    for choice in (plan.precision, plan.eval_precision):
        assert (choice.value, choice.source) == (precision, "user")


def test_a_precision_that_failed_is_refused(plan_on):
    with pytest.raises(DeviceError, match="bf16 did not pass its test on Tesla T4: use fp32 or"):
        plan_on("t4_16gb", precision="bf16")


def test_channels_last_where_it_is_right(plan_on):
    for machine, expected in (("h100_80gb", "channels_last"), ("apple_m1_16gb", "contiguous")):
        plan = plan_on(machine)
        assert plan.memory_format.value == plan.eval_memory_format.value == expected


def test_an_asked_format_holds_for_both(plan_on):
    plan = plan_on("h100_80gb", memory_format="contiguous")
    for choice in (plan.memory_format, plan.eval_memory_format):
        assert (choice.value, choice.source) == ("contiguous", "user")


def test_a_format_that_is_wrong_there_is_refused(plan_on):
    with pytest.raises(DeviceError, match="channels_last can't be trusted on mps: use contiguous"):
        plan_on("apple_m1_16gb", memory_format="channels_last")
