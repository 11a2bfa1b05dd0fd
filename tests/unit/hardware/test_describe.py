"""Machines in words, for every recorded machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from lacewing.hardware.describe import machine_rows, short_rows, verdict
from lacewing.hardware.machine import PRECISIONS, Machine

MACHINES = sorted((Path(__file__).parents[2] / "machines").glob("*.json"))


def load(name: str) -> Machine:
    return Machine.load(MACHINES[0].parent / f"{name}.json")


@pytest.mark.parametrize("file", MACHINES, ids=lambda file: file.stem)
def test_a_recorded_machine_is_sound_and_described(file):
    machine = Machine.load(file)
    assert machine.devices[-1].kind == "cpu"
    assert 1 <= machine.cores.value <= machine.host_cores
    assert machine.memory_free_bytes <= machine.memory.value
    for device in machine.devices:
        assert device.precisions[0] == "fp32"
        assert set(device.precisions) <= set(PRECISIONS)
    rows = dict(machine_rows(machine))
    assert all(rows.values())
    assert {device.address for device in machine.devices} <= set(rows)
    assert len(short_rows(machine)) < len(rows)
    assert verdict(machine).endswith(".")
    assert "\n" not in verdict(machine)


def test_there_is_a_machine_for_every_tier():
    assert len(MACHINES) >= 10


def test_limited_cores_are_told_with_what_limits_them():
    assert dict(short_rows(load("taskset_1core")))["cores"] == "1 of 2 usable (CPU affinity)"
    assert "1 CPU core and" in verdict(load("taskset_1core"))


def test_a_memory_limit_is_told_with_its_source():
    rows = dict(machine_rows(load("h100_80gb")))
    assert rows["memory"] == "128.0 GiB (cgroup memory limit), 125.2 GiB free"
    assert rows["cores"] == "16 of 224 usable (cgroup quota)"


def test_rejected_devices_are_told_with_their_reason():
    rows = dict(machine_rows(load("cpu_2core_24gb")))
    assert "PyTorch sees no such GPU" in rows["not used: cuda"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("h100_80gb", "any of the networks at 224 pixels and more in mixed precision (bf16)"),
        ("t4_16gb", "any of the networks at 224 pixels and more in mixed precision (fp16)"),
        ("rtx3070_8gb", "any of the networks"),
        ("gtx1650_4gb", "most networks at 224 pixels"),
        ("gtx1050_2gb", "small networks at 128 pixels"),
        ("directml_laptop", "its memory can't be asked"),
        ("apple_m1_16gb", "Apple M1 GPU (mps) with 10.7 GiB"),
        ("cpu_laptop_4core_8gb", "No GPU, 4 CPU cores and 7.6 GiB"),
    ],
)
def test_the_verdict_says_what_it_is_good_for(name, words):
    assert words in verdict(load(name))


def test_what_is_not_known_is_said():
    machine = replace(load("cpu_2core_24gb"), shared_memory_bytes=None, open_files=None)
    rows = dict(machine_rows(machine))
    assert rows["shared memory"] == "unknown"
    assert rows["open files"] == "no limit"
