"""What holds for every plan, over random requests on every recorded machine."""

from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacewing.config import TrainConfig
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.machine import Machine
from lacewing.performance_config import (
    EVAL_BATCH,
    LARGE_EVAL_BATCH,
    LEAST_BATCH_FOR_BATCHNORM,
    TIERS,
)
from lacewing.planning.check import check_arithmetic, check_possible
from lacewing.planning.job import REFERENCE_BATCH, Job
from lacewing.planning.make import make_plan, total_steps
from lacewing.planning.rules.compile import possible_modes
from lacewing.planning.rules.device import find_device

MACHINES = [
    Machine.load(file) for file in sorted((Path(__file__).parents[2] / "machines").glob("*.json"))
]
AS_ASKED = ("threads", "precision", "memory_format", "compile", "image_size", "memory_share",
            "workers")  # fmt: skip
"""Decisions that are the asked value itself wherever one is asked."""


def maybe(strategy):
    return st.none() | strategy


@st.composite
def requests(draw):
    """A machine, a configuration that it can honour, and a job."""
    machine = draw(st.sampled_from(MACHINES))
    asked = draw(maybe(st.sampled_from([device.address for device in machine.devices])))
    device = find_device(machine, asked or machine.devices[0].address)
    capabilities = BACKENDS[device.kind]().capabilities
    modes = possible_modes(capabilities, device)
    step = draw(st.sampled_from([1, 14, 16, 32]))
    fixed = draw(st.booleans())
    job = Job(
        training_images=draw(st.integers(1, 100_000)),
        classes=draw(st.integers(2, 200)),
        model="net",
        native_size=224,
        min_size=draw(st.integers(16, 224)),
        fixed_size=fixed,
        size_multiple=step,
        pretrained=draw(st.booleans()),
        optimizer="Adam",
        default_learning_rate=draw(st.floats(1e-6, 1)),
        optimizer_kernels=draw(st.sampled_from([(), ("foreach",), ("foreach", "fused")])),
        cache_bytes=lambda size: 45_000 * 3 * size * size,
    )
    sizes = st.just(224) if fixed else st.integers(224 // step + 1, 1024 // step).map(step.__mul__)
    config = TrainConfig(
        device=asked,
        batch_size=draw(maybe(st.integers(1, 2000))),
        accumulate=draw(st.booleans()),
        learning_rate=draw(maybe(st.floats(1e-7, 1))),
        epochs=draw(st.integers(1, 300)),
        image_size=draw(maybe(sizes)),
        precision=draw(maybe(st.sampled_from(device.precisions))),
        memory_format=draw(maybe(st.sampled_from(capabilities.memory_formats))),
        compile=draw(maybe(st.sampled_from(modes))),
        workers=draw(maybe(st.integers(0, 32))),
        threads=draw(maybe(st.integers(1, 64))),
        memory_share=draw(maybe(st.floats(0.01, 1))),
    )
    return machine, config, job


@given(requests())
@settings(max_examples=150, deadline=None)
def test_every_plan_is_sound(request):
    machine, config, job = request
    plan = make_plan(config, machine, job)
    device = find_device(machine, plan.device.value)
    check_arithmetic(plan)
    check_possible(plan, device, BACKENDS[device.kind]().capabilities)
    check_what_was_asked(plan, config)
    check_batch(plan, config, job)
    check_learning_rate(plan, config, job)
    free = machine.memory_free_bytes if device.kind == "cpu" else device.free_bytes
    assert plan.memory_bytes.value is None or plan.memory_bytes.value <= free
    assert plan.image_size.value >= job.min_size
    assert plan.image_size.value % job.size_multiple == 0
    assert plan.threads.value == config.threads or plan.threads.value <= machine.cores.value
    assert plan.workers.value == config.workers or plan.workers.value <= machine.cores.value
    assert (plan.prefetch.value == 0) == (plan.workers.value == 0)
    assert plan == make_plan(config, machine, job)


def check_what_was_asked(plan, config):
    """A user's value stands above every rule, and is marked as the user's."""
    for name in AS_ASKED:
        asked = getattr(config, name)
        choice = plan.choices()[name]
        assert (choice.source == "user") == (asked is not None)
        assert asked is None or choice.value == asked
    assert (plan.device.source == "user") == (config.device is not None)
    if config.precision is not None:
        assert (plan.eval_precision.value, plan.eval_precision.source) == (config.precision, "user")


def check_batch(plan, config, job):
    """No more than was asked for or is there, all of it with --accumulate."""
    micro, batch = plan.micro_batch.value, plan.batch.value
    most = min(config.batch_size or batch, job.training_images)
    assert 1 <= micro <= batch <= most
    if config.accumulate and config.batch_size:
        assert batch == most
        assert batch // plan.accumulation.value >= min(LEAST_BATCH_FOR_BATCHNORM, batch)
    else:
        assert (micro, plan.accumulation.value) == (batch, 1)
    assert plan.execution.micro_batch == micro
    assert plan.execution.accumulation == ceil(batch / micro)
    assert plan.eval_execution.micro_batch == plan.eval_batch.value
    most = LARGE_EVAL_BATCH.get(plan.device.value.partition(":")[0], EVAL_BATCH[1])
    assert 1 <= plan.eval_batch.value <= most


def check_learning_rate(plan, config, job):
    """Linear in the batch, times the tier's factor unless accumulation keeps the batch."""
    batch = plan.batch.value
    kept = config.accumulate and config.batch_size
    factor = 1 if kept else TIERS[plan.tier.value].learning_rate_factor
    base, reference = (
        (job.default_learning_rate, REFERENCE_BATCH)
        if config.learning_rate is None
        else (config.learning_rate, config.batch_size or batch)
    )
    assert plan.learning_rate.value == pytest.approx(base * batch / reference * factor, rel=1e-12)
    is_asked = plan.learning_rate.value == config.learning_rate
    assert (plan.learning_rate.source == "user") == is_asked


def test_the_tier_table_is_obeyed(recorded, make_job):
    tiers = {**TIERS, "cpu": TIERS["high"]}
    plan = make_plan(TrainConfig(batch_size=16), recorded("cpu_2core_24gb"), make_job(), tiers)
    assert (plan.micro_batch.value, plan.image_size.value) == (16, 224)
    assert plan.precision.value == "bf16"


def test_advice_on_the_optimiser_becomes_a_note(plan_on, make_job):
    assert plan_on("h100_80gb", make_job(optimizer_advice="Use AdamW.")).notes == ("Use AdamW.",)
    assert plan_on("h100_80gb").notes == ()


def test_what_the_device_got_wrong_becomes_a_note(recorded, make_job):
    machine = recorded("t4_16gb")
    card, *rest = machine.devices
    failed = {"bf16": "the loss is not finite", "fp16 channels_last": "its memory is full"}
    other = replace(card, index=1, failed={"fp32 channels_last": "the loss is not finite"})
    machine = replace(machine, devices=(replace(card, failed=failed), other, *rest))
    assert make_plan(TrainConfig(), machine, make_job()).notes == (
        "bf16 failed its test on cuda:0 (the loss is not finite) and is not used.",
        "fp16 channels_last failed its test on cuda:0 (its memory is full) and is not used.",
    )
    assert make_plan(TrainConfig(device="cpu"), machine, make_job()).notes == ()


def test_steps_are_whole_batches_of_the_epochs_that_are_run(make_job):
    job = make_job(training_images=1000)
    assert total_steps(TrainConfig(epochs=10), 64, job) == 15 * 10
    assert total_steps(TrainConfig(epochs=10, limit_epochs=3), 64, job) == 15 * 3
