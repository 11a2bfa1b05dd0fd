"""Devices and tiers on recorded machines."""

from dataclasses import replace

import pytest

from lacewing.errors import DeviceError
from lacewing.hardware.machine import Device, Rejected
from lacewing.planning.rules.device import choose, choose_tier, find_device
from lacewing.values import GIB


@pytest.mark.parametrize(
    ("machine", "address", "tier"),
    [
        ("h100_80gb", "cuda:0", "high"),
        ("t4_16gb", "cuda:0", "high"),
        ("rtx3070_8gb", "cuda:0", "high"),
        ("gtx1650_4gb", "cuda:0", "mid"),
        ("gtx1050_2gb", "cuda:0", "low"),
        ("apple_m1_16gb", "mps", "high"),
        ("directml_laptop", "directml:0", "directml"),
        ("cpu_2core_24gb", "cpu", "cpu"),
    ],
)
def test_the_first_device_that_passed_and_its_tier(recorded, machine, address, tier):
    chosen = choose(None, recorded(machine))
    assert chosen.value == address
    assert choose_tier(find_device(recorded(machine), address)).value == tier


@pytest.mark.parametrize(
    ("total", "tier"),
    [(None, "low"), (3 * GIB, "low"), (6 * GIB, "mid"), (int(7.6 * GIB), "high")],
)
def test_the_tier_goes_by_the_memory(total, tier):
    assert choose_tier(Device(name="GPU", kind="xpu", total_bytes=total)).value == tier


def test_the_device_asked_for_wins(recorded):
    assert choose("cpu", recorded("h100_80gb")).value == "cpu"
    chosen = choose("cuda", recorded("h100_80gb"))
    assert (chosen.value, chosen.source) == ("cuda:0", "user")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("cuda", "no such GPU, or its driver is not installed): use --device auto or one of cpu"),
        ("cuda:3", "no device cuda:3"),
        ("cuda:x", "needs a number after the colon"),
        ("gpu", "no kind of device called 'gpu'"),
    ],
)
def test_a_device_that_is_not_here_is_refused(recorded, asked, words):
    with pytest.raises(DeviceError, match=words.replace("(", r"\(").replace(")", r"\)")):
        choose(asked, recorded("cpu_2core_24gb"))


def test_the_cpu_as_last_choice_says_why(recorded):
    machine = recorded("cpu_2core_24gb")
    assert choose(None, machine).reason == "no GPU was found"
    broken = Rejected(kind="cuda", name="GTX 1", reason="convolutions give NaN")
    chosen = choose(None, replace(machine, rejected=(broken, *machine.rejected)))
    assert (chosen.reason, chosen.source) == ("GTX 1 failed its test", "fallback")
    assert chosen.evidence["not used: GTX 1"] == "convolutions give NaN"
    own = Rejected(kind="cpu", name="Xeon in bf16", reason="gradients are off by 40%")
    assert choose(None, replace(machine, rejected=(own,))).reason == "no GPU was found"
