"""Which ways are open: those that passed the test, and within them what the user fixed."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.planning.trial.ways import (
    kernel_ways,
    nearest_first,
    planned,
    thread_ways,
    training_ways,
)

CAPABILITIES = Capabilities()
GPU = Device(name="GPU", kind="cuda", precisions=("fp32", "tf32", "bf16", "fp16"))


def described(ways):
    return [way.describe() for way in ways]


def test_full_precision_stands_first(plan_on):
    ways = training_ways(plan_on("t4_16gb"), TrainConfig(), GPU, CAPABILITIES)
    assert described(ways)[:3] == ["fp32 contiguous", "fp32 channels_last", "tf32 contiguous"]
    assert len(ways) == 8


def test_those_near_the_planned_one_are_begun_first(plan_on):
    plan = plan_on("t4_16gb")
    ways = training_ways(plan, TrainConfig(), GPU, CAPABILITIES)
    likely = replace(planned(plan), precision="bf16", memory_format="channels_last")
    assert described(nearest_first(ways, likely))[:4] == [
        "bf16 channels_last", "fp32 contiguous", "bf16 contiguous", "fp32 channels_last",
    ]  # fmt: skip


def test_only_pairs_that_passed(plan_on):
    device = replace(GPU, pairs=("fp32 contiguous", "bf16 contiguous", "bf16 channels_last"),
                     precisions=("fp32", "bf16"))  # fmt: skip
    ways = training_ways(plan_on("t4_16gb"), TrainConfig(), device, CAPABILITIES)
    assert described(ways) == ["fp32 contiguous", "bf16 contiguous", "bf16 channels_last"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"precision": "fp16"}, ["fp16 contiguous", "fp16 channels_last"]),
        ({"precision": "bf16", "memory_format": "contiguous"}, ["bf16 contiguous"]),
    ],
)
def test_what_the_user_fixed_is_not_open(plan_on, words, expected):
    ways = training_ways(plan_on("t4_16gb"), TrainConfig(**words), GPU, CAPABILITIES)
    assert described(ways) == expected


def test_without_autocast_no_reduced_precision(plan_on):
    capabilities = Capabilities(autocast=False, memory_formats=("contiguous",))
    ways = training_ways(plan_on("t4_16gb"), TrainConfig(), GPU, capabilities)
    assert described(ways) == ["fp32 contiguous", "tf32 contiguous"]


def test_kernels_of_optimiser_and_device(plan_on, make_job):
    way = planned(plan_on("t4_16gb"))
    both = kernel_ways(way, make_job(), GPU, CAPABILITIES)
    assert [one.kernel for one in both] == ["fused", "foreach"]
    plain, slow = replace(way, kernel="plain"), make_job(optimizer_kernels=())
    assert [one.kernel for one in kernel_ways(plain, slow, GPU, CAPABILITIES)] == ["plain"]
    faulty = replace(GPU, failed_kernels={"fused": "SGD's update is wrong"})
    left = kernel_ways(replace(way, kernel="foreach"), make_job(), faulty, CAPABILITIES)
    assert [one.kernel for one in left] == ["foreach"]


def test_half_the_cores_where_there_are_many(plan_on, recorded):
    machine = recorded("cpu_laptop_4core_8gb")
    cpu, way = machine.devices[-1], planned(plan_on("cpu_laptop_4core_8gb"))
    assert [w.threads for w in thread_ways(way, TrainConfig(), cpu, machine)] == [way.threads, 2]
    assert len(thread_ways(way, TrainConfig(threads=4), cpu, machine)) == 1
    assert len(thread_ways(way, TrainConfig(), GPU, machine)) == 1
    small = recorded("cpu_2core_24gb")
    assert len(thread_ways(way, TrainConfig(), small.devices[-1], small)) == 1
