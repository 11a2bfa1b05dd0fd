"""One process's plan, dealt out to several."""

from dataclasses import replace
from pathlib import Path

import pytest

from lacewing.config import TrainConfig
from lacewing.errors import DeviceError, PlanError
from lacewing.hardware.machine import Machine
from lacewing.hardware.ranks import Ranks
from lacewing.planning import processes
from lacewing.planning.check import check_arithmetic
from lacewing.planning.document import load_plan, save_plan
from lacewing.planning.make import make_plan
from lacewing.values import Choice

MACHINES = Path(__file__).parents[2] / "machines"
H100 = Machine.load(MACHINES / "h100_80gb.json")
CPU = Machine.load(MACHINES / "cpu_2core_24gb.json")


@pytest.mark.parametrize(
    ("batch", "world", "micro", "expected"),
    [(32, 1, 8, 4), (32, 4, 8, 1), (33, 4, 8, 2), (17, 1, 4, 5), (3, 2, 1, 1), (8, 8, 4, 1)],
)
def test_all_processes_make_as_many_passes_and_none_is_empty(batch, world, micro, expected):
    assert processes.passes(batch, world, micro) == expected
    assert expected <= min(len(Ranks(rank, world).part(batch)) for rank in range(world))


def test_of_several_machines_the_least_counts():
    device = H100.devices[0]
    small = replace(device, total_bytes=2**30, free_bytes=2**29, precisions=("fp32", "bf16"))
    small = replace(small, failed={"fp16": "the loss is not finite"})
    other = replace(H100, devices=(small, *H100.devices[1:]), memory_free_bytes=5)
    least = processes.least_of([H100, other])
    assert least.devices[0].total_bytes == 2**30
    assert least.devices[0].free_bytes == 2**29
    assert set(least.devices[0].precisions) == {"fp32", "bf16"}
    assert least.devices[0].failed == {"fp16": "the loss is not finite"}
    assert least.memory_free_bytes == 5


def test_machines_with_other_devices_are_refused():
    with pytest.raises(PlanError, match=r"different devices.*--device cpu"):
        processes.least_of([H100, CPU])


def test_processes_of_a_host_share_its_cores_and_memory():
    shared = processes.share_of(CPU, 2)
    assert shared.cores.value == 1
    assert shared.cores.source == "2 processes on this host"
    assert shared.memory_free_bytes == CPU.memory_free_bytes // 2
    assert processes.share_of(CPU, 1) == CPU


@pytest.fixture
def plan(make_job):
    return make_plan(TrainConfig(data="photos"), H100, make_job())


@pytest.mark.parametrize(
    ("local", "local_world", "visible", "environment", "expected"),
    [(1, 2, 8, {}, "cuda:1"), (1, 2, 1, {"CUDA_VISIBLE_DEVICES": "5"}, "cuda:0")],
)
def test_each_process_has_its_own_device(plan, local, local_world, visible, environment, expected):
    ranks = Ranks(local, 4, local, local_world)
    assert processes.of_process(plan, ranks, visible, environment).device.value == expected


def test_more_processes_than_devices_are_refused(plan):
    with pytest.raises(DeviceError, match="4 processes were started on a host with 2 cuda devices"):
        processes.of_process(plan, Ranks(3, 4, 3, 4), 2, {})


def test_a_small_pass_synchronises_batchnorm_unless_it_is_frozen(plan):
    small = replace(plan, batch=Choice(32, "", "user"), micro_batch=Choice(32, "", "user"))
    dealt = processes.with_processes(small, TrainConfig(freeze_norms=False), Ranks(0, 4))
    assert (dealt.micro_batch.value, dealt.accumulation.value) == (8, 1)
    assert dealt.compile.value == "off"
    assert any("those of all processes" in note for note in dealt.notes)
    frozen = processes.with_processes(small, TrainConfig(freeze_norms=True), Ranks(0, 4))
    assert not any("those of all processes" in note for note in frozen.notes)
    large = processes.with_processes(small, TrainConfig(), Ranks(0, 2))
    assert large.micro_batch.value == processes.SYNCHRONISED_BELOW
    assert not processes.synchronises(large, TrainConfig(), Ranks(0, 2))


def test_a_batch_smaller_than_the_number_of_processes_is_refused(plan):
    tiny = replace(plan, batch=Choice(3, "", "user"))
    with pytest.raises(PlanError, match="3 images can't be shared by 4 processes"):
        processes.with_processes(tiny, TrainConfig(), Ranks(0, 4))


def test_a_plan_that_was_dealt_out_is_one_of_one_process_again(plan, tmp_path):
    whole = replace(
        plan,
        batch=Choice(64, "", "user"),
        micro_batch=Choice(32, "", "rule"),
        accumulation=Choice(2, "", "rule"),
    )
    dealt = processes.with_processes(whole, TrainConfig(), Ranks(0, 2))
    assert (dealt.micro_batch.value, dealt.accumulation.value) == (32, 1)
    save_plan(dealt, tmp_path / "plan.yaml")
    again = processes.of_one(load_plan(tmp_path / "plan.yaml"))
    check_arithmetic(again)
    assert again.accumulation.value == 2
    assert processes.with_processes(again, TrainConfig(), Ranks(0, 2)).accumulation.value == 1


def test_one_process_keeps_its_plan(plan):
    assert processes.with_processes(plan, TrainConfig(), Ranks()) is plan
