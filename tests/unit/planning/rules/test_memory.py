"""Shares of memory, and room for decoded images."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.planning.make import make_plan
from lacewing.planning.processes import share_of
from lacewing.planning.rules.memory import choose_pixels
from lacewing.values import GIB


def test_the_share_is_of_what_is_free(plan_on, recorded):
    gpu = plan_on("gtx1650_4gb")
    assert gpu.memory_bytes.value == int(recorded("gtx1650_4gb").devices[0].free_bytes * 0.8)
    cpu = plan_on("cpu_2core_24gb")
    assert cpu.memory_bytes.value == recorded("cpu_2core_24gb").memory_free_bytes // 2


def test_an_asked_share_wins(plan_on, recorded):
    plan = plan_on("gtx1650_4gb", memory_share=0.25)
    assert (plan.memory_share.value, plan.memory_share.source) == (0.25, "user")
    assert plan.memory_bytes.value == int(recorded("gtx1650_4gb").devices[0].free_bytes * 0.25)
    assert plan.memory_bytes.source == "user"


@pytest.mark.parametrize("share", [None, 1.0])
def test_a_gpu_that_computes_in_ram_leaves_room_for_decoded_images(
    plan_on, recorded, make_job, share
):
    free = recorded("apple_m1_16gb").memory_free_bytes
    assert recorded("apple_m1_16gb").devices[0].free_bytes == free
    job = replace(make_job(), cache_bytes=lambda size: free // 4)
    plan = plan_on("apple_m1_16gb", job, memory_share=share)
    assert plan.pixels.value == "ram"
    assert plan.memory_bytes.value == int((share or 0.8) * (free - free // 4))
    assert plan.memory_bytes.value + free // 4 <= free


def test_what_a_gpu_may_use_of_the_ram_bounds_its_share_too(recorded, make_job):
    machine = recorded("apple_m1_16gb")
    gpu = replace(machine.devices[0], free_bytes=GIB)
    machine = replace(machine, devices=(gpu, *machine.devices[1:]))
    plan = make_plan(TrainConfig(), machine, make_job())
    assert plan.memory_bytes.value == int(0.8 * GIB)


def test_a_device_that_does_not_tell(plan_on):
    choice = plan_on("directml_laptop").memory_bytes
    assert (choice.value, choice.source) == (None, "fallback")


@pytest.mark.parametrize(("spare", "expected"), [(0, "ram"), (1, "none")])
def test_images_are_kept_where_a_quarter_of_the_free_ram_holds_them(
    plan_on, make_job, recorded, spare, expected
):
    allowed = recorded("cpu_2core_24gb").memory_free_bytes // 4
    job = replace(make_job(), cache_bytes=lambda size: allowed + spare)
    choice = plan_on("cpu_2core_24gb", job).pixels
    assert choice.value == expected
    assert choice.evidence["need_bytes"] == allowed + spare


@pytest.mark.parametrize(("disk", "place"), [(1, "none"), (3 * GIB, "disk")])
def test_where_nothing_holds_them_both_bounds_are_named(recorded, disk, place):
    machine = replace(recorded("cpu_2core_24gb"), memory_free_bytes=4 * GIB)
    choice = choose_pixels(3 * GIB, disk, machine)
    assert choice.value == place
    if place == "none":
        assert choice.reason == "3.0 GiB; RAM gives 1.0 GiB, disk 1 B (LACEWING_CACHE_GIB)"


@pytest.mark.parametrize(("disk", "place"), [(1, "ram"), (3 * GIB, "disk")])
def test_processes_of_a_host_share_what_they_decode(recorded, disk, place):
    machine = share_of(replace(recorded("cpu_2core_24gb"), memory_free_bytes=32 * GIB), 2)
    choice = choose_pixels(3 * GIB, disk, machine)
    assert choice.value == place
    if place == "disk":
        assert choice.reason == "decoded once for 2 processes: 3.0 GiB on the disk"


def test_the_room_is_asked_at_the_chosen_size(plan_on, make_job):
    asked = []
    plan_on("h100_80gb", make_job(cache_bytes=lambda size: asked.append(size) or 0))
    assert asked == [224]


def test_images_are_kept_at_the_size_that_they_are_used_at(plan_on, make_job):
    job = make_job(
        cache_bytes=lambda size: 10 * size**2,
        device_bytes=lambda size: 8 * size**2,
    )
    plan = plan_on("h100_80gb", job, image_size=100, eval_size=200)
    assert plan.pixels.evidence["need_bytes"] == 8 * 100**2 + 2 * 200**2
