"""Threads, prefetching, pinned memory, and where to augment."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.hardware.machine import Limit
from lacewing.performance_config import TIERS
from lacewing.planning.make import make_plan
from lacewing.planning.rules.loading import batches_held, choose_workers, decoders, within_share
from lacewing.values import GIB, Choice


@pytest.mark.parametrize(
    ("machine", "threads", "workers", "prefetch"),
    [
        ("taskset_1core", 1, 0, 0),
        ("cpu_2core_24gb", 2, 1, 1),
        ("cpu_laptop_4core_8gb", 4, 1, 1),
        ("t4_16gb", 2, 2, 4),
        ("gtx1650_4gb", 8, 4, 4),
        ("h100_80gb", 16, 8, 8),
        ("directml_laptop", 8, 2, 2),
    ],
)
def test_threads_come_from_the_usable_cores(plan_on, machine, threads, workers, prefetch):
    plan = plan_on(machine)
    assert plan.threads.value == threads
    assert (plan.workers.value, plan.prefetch.value) == (workers, prefetch)


@pytest.mark.parametrize(("cores", "workers"), [(2, 1), (7, 1), (8, 2), (32, 8), (64, 8)])
def test_a_quarter_of_a_cpus_cores_decode_beside_the_network(recorded, cores, workers):
    machine = replace(recorded("cpu_2core_24gb"), cores=Limit(value=cores, source="host"))
    device = machine.devices[0]
    assert choose_workers(None, TIERS["cpu"], device, machine).value == workers
    none = replace(TIERS["cpu"], workers=0)
    assert choose_workers(None, none, device, machine).value == 0


@pytest.mark.parametrize(
    ("free", "asked", "workers"), [(64, None, 8), (16, None, 4), (4, None, 1), (16, 8, 8)]
)
def test_batches_made_ahead_keep_to_a_small_share_of_the_memory(
    recorded, make_job, free, asked, workers
):
    """256 images of 224 pixels are 147 MiB of floats; each thread makes as many."""
    machine = replace(
        recorded("cpu_2core_24gb"),
        cores=Limit(value=32, source="host"),
        memory_free_bytes=free * GIB,
    )
    config = TrainConfig(batch_size=256, accumulate=True, image_size=224, workers=asked)
    plan = make_plan(config, machine, make_job())
    assert (plan.workers.value, plan.prefetch.value) == (workers, workers)
    assert ("for batches of 147.0 MiB" in plan.workers.reason) is (workers in (1, 4))


def test_an_unknown_memory_and_no_thread_change_nothing():
    one, none = Choice(8, "", "rule"), Choice(0, "", "measured")
    assert within_share(one, 1, None) is one
    assert within_share(none, 100, 100) is none


@pytest.mark.parametrize(
    ("workers", "prefetch", "held"), [(0, 0, 0), (1, 1, 2), (2, 4, 5), (8, 8, 9)]
)
def test_batches_that_threads_hold(workers, prefetch, held):
    assert batches_held(workers, prefetch) == held


@pytest.mark.parametrize(
    ("planned", "source", "cores", "threads"),
    [
        (0, "measured", 2, 1),
        (0, "rule", 1, 1),
        (1, "measured", 8, 7),
        (8, "rule", 4, 8),
        (2, "rule", 64, 16),
        (32, "rule", 64, 32),
        (0, "user", 8, 0),
    ],
)
def test_a_pass_that_decodes_everything_takes_the_other_cores(planned, source, cores, threads):
    assert decoders(Choice(planned, "", source), cores) == threads


def test_asked_threads_win(plan_on):
    plan = plan_on("taskset_1core", threads=4, workers=3)
    assert (plan.threads.value, plan.threads.source) == (4, "user")
    assert (plan.workers.value, plan.workers.source) == (3, "user")
    assert plan.prefetch.value == 3
    assert plan_on("h100_80gb", workers=0).prefetch.value == 0


def test_what_limits_the_cores_is_said(plan_on):
    assert plan_on("h100_80gb").threads.reason == "the usable cores, limited by cgroup quota"
    assert plan_on("t4_16gb").threads.reason == "the usable cores"


@pytest.mark.parametrize(
    ("machine", "pinned", "augment_on"),
    [
        ("h100_80gb", True, "device"),
        ("apple_m1_16gb", False, "device"),
        ("cpu_2core_24gb", False, "device"),
        ("directml_laptop", False, "cpu"),
    ],
)
def test_what_the_device_can_do(plan_on, machine, pinned, augment_on):
    plan = plan_on(machine)
    assert (plan.pin_memory.value, plan.augment_on.value) == (pinned, augment_on)


def test_a_server_gets_more_threads_than_there_are_cores(recorded):
    machine = recorded("cpu_2core_24gb")
    device, tier = machine.devices[0], TIERS["cpu"]
    chosen = choose_workers(None, tier, device, machine, readers=16)
    assert (chosen.value, "server" in chosen.reason) == (16, True)
    assert choose_workers(3, tier, device, machine, readers=16).value == 3
