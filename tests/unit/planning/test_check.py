"""A plan from a file, carried to another machine."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.errors import ConfigError, DeviceError, PlanError
from lacewing.planning.check import check_compiles_once, check_plan, check_work
from lacewing.values import Choice


def with_values(plan, **values):
    return replace(plan, **{name: Choice(value, "", "user") for name, value in values.items()})


def test_on_its_own_machine_there_is_nothing_to_say(plan_on, recorded):
    assert check_plan(plan_on("h100_80gb"), recorded("h100_80gb")) == ()


def test_a_device_that_is_missing(plan_on, recorded):
    with pytest.raises(DeviceError, match="no device cuda:0"):
        check_plan(plan_on("h100_80gb"), recorded("cpu_2core_24gb"))


@pytest.mark.parametrize(
    ("machine", "values", "words"),
    [
        ("t4_16gb", {"precision": "bf16"}, "precision bf16 is not possible on Tesla T4"),
        ("t4_16gb", {"eval_precision": "tf32"}, "set it to fp32 or fp16 in the plan file"),
        ("apple_m1_16gb", {"memory_format": "channels_last"}, "memory_format channels_last"),
        ("apple_m1_16gb", {"eval_memory_format": "channels_last"}, "set it to contiguous"),
        ("gtx1050_2gb", {"compile": "default"}, "compile default is not possible"),
        ("directml_laptop", {"optimizer_kernel": "fused"}, "set it to plain"),
        ("directml_laptop", {"augment_on": "device"}, "set it to cpu"),
        ("cpu_2core_24gb", {"pin_memory": True}, "pin_memory true .* set it to false"),
    ],
)
def test_what_the_device_can_not_do_is_refused(plan_on, recorded, machine, values, words):
    plan = with_values(plan_on(machine), **values)
    with pytest.raises(PlanError, match=words):
        check_plan(plan, recorded(machine))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"micro_batch": 8}, "is 1, but its batch 16 in passes of at most 8 images takes 2: set"),
        ({"accumulation": 2}, "takes 1: set accumulation to 1"),
        ({"micro_batch": 32}, "micro_batch 32 is over its batch 16"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(plan_on, recorded, values, words):
    plan = with_values(plan_on("h100_80gb", batch_size=16), **values)
    with pytest.raises(PlanError, match=words):
        check_plan(plan, recorded("h100_80gb"))


def test_passes_that_make_up_the_batch_are_obeyed(plan_on, recorded):
    plan = with_values(plan_on("h100_80gb"), batch=16, micro_batch=6, accumulation=3)
    assert check_plan(plan, recorded("h100_80gb")) == ()


def test_where_the_machine_differs_is_said(plan_on, recorded, make_job):
    job = make_job(cache_bytes=lambda size: 30_000_000_000)
    plan = with_values(plan_on("h100_80gb", job), compile="off", precision="fp16",
                       eval_precision="fp16")  # fmt: skip
    notes = check_plan(plan, recorded("gtx1650_4gb"))
    assert [note.split(":")[0] for note in notes[:1]] == [
        "The plan is for the high tier, but NVIDIA GeForce GTX 1650 is in the mid one (3.8 GiB of "
        "device memory"
    ]
    assert notes[1:] == (
        "The plan may take 62.9 GiB of memory on cuda:0, but only 3.5 GiB are free here.",
        "The plan keeps 27.9 GiB of decoded images in RAM, but only 11.2 GiB are free here: set "
        "pixels to disk or none.",
        "The plan's threads 16 are more than the 8 usable cores here.",
    )


@pytest.mark.parametrize(
    ("flag", "sets", "words"),
    [
        ("progressive_resizing", "one image size", "each size that training images grow through"),
        ("gradual_unfreezing", "one set of layers", "each set of layers that learn"),
    ],
)
def test_what_would_be_compiled_again_and_again_is_not(plan_on, flag, sets, words):
    config = TrainConfig(**{flag: True})
    with pytest.raises(ConfigError, match=f"--compile default makes kernels for {sets}"):
        replace(config, compile="default")
    plan = plan_on("cpu_2core_24gb")
    check_compiles_once(config, plan)
    compiled = with_values(plan, compile="default")
    with pytest.raises(PlanError, match=f"has compile: default, but {words} would") as caught:
        check_compiles_once(config, compiled)
    assert str(caught.value).endswith(f"or leave out --{flag.replace('_', '-')}.")
    check_compiles_once(TrainConfig(), compiled)


def test_more_decoding_threads_than_cores_are_said(plan_on, recorded):
    notes = check_plan(plan_on("t4_16gb", workers=6), recorded("t4_16gb"))
    assert notes == ("The plan's workers 6 are more than the 2 usable cores here.",)


def test_a_batch_that_the_images_do_not_fill_is_refused(plan_on, make_job):
    plan = with_values(plan_on("h100_80gb"), batch=64)
    check_work(plan, make_job(training_images=64))
    with pytest.raises(PlanError, match="batch 64 is over the 20 training images there are: set"):
        check_work(plan, make_job(training_images=20))


@pytest.mark.parametrize(
    ("network", "size", "fitting"),
    [
        ({"fixed_size": True}, 128, 224),
        ({"min_size": 75}, 64, 75),
        ({"size_multiple": 32}, 100, 96),
    ],
)
def test_a_size_that_the_network_refuses_is_refused_at_once(
    plan_on, make_job, network, size, fitting
):
    job, plan = make_job(**network), plan_on("cpu_2core_24gb")
    with pytest.raises(PlanError, match=f"image_size {size}: set it to {fitting} in the plan file"):
        check_work(with_values(plan, image_size=size), job)
    check_work(with_values(plan, image_size=fitting), job)
