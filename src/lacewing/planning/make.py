"""make_plan(): the rules in their order."""

from lacewing.config import TrainConfig
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import TIERS, Tier
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules import (
    batch,
    compile,
    device,
    image_size,
    kernel,
    learning_rate,
    loading,
    memory,
    precision,
)


def make_plan(
    config: TrainConfig,
    machine: Machine,
    job: Job,
    tiers: dict[str, Tier] = TIERS,
    backends: BackendTable = BACKENDS,
) -> Plan:
    """Decide how `job` is carried out on `machine`. Pure: the same arguments, the same plan.

    What the user asked for stands above every rule. Raises DeviceError or ModelError, naming
    the remedy, where it can't be honoured.
    """
    chosen = device.choose(config.device, machine)
    this = device.find_device(machine, chosen.value)
    capabilities = backends[this.kind]().capabilities
    tier_choice = device.choose_tier(this)
    tier = tiers[tier_choice.value]
    # auto starts at the tier's size; the trial goes on from there
    asked = config.batch_size if isinstance(config.batch_size, int) else None
    batches = batch.choose(asked, config.accumulate, tier, this, machine, job.training_images)
    size = image_size.choose(config.image_size, config.eval_size, tier, job)
    training_precision = precision.choose(config.precision, this, tier)
    training_format = precision.choose_memory_format(
        config.memory_format, this, capabilities, training_precision.value
    )
    share = memory.choose_share(config.memory_share, tier)
    memory_bytes = memory.choose_bytes(share, this, machine)
    loader = loading.choose(
        config.workers,
        tier,
        this,
        machine,
        capabilities,
        job.readers,
        batch_bytes=loading.varied_bytes(batches.batch.value, size.value),
        allowed_bytes=memory_bytes.value,
    )
    return Plan(
        device=chosen,
        tier=tier_choice,
        threads=loading.choose_threads(config.threads, machine),
        precision=training_precision,
        memory_format=training_format,
        compile=compile.choose(
            config.compile, tier, capabilities, this, anew_for=compile.compiled_anew(config)
        ),
        image_size=size,
        micro_batch=batches.micro_batch,
        accumulation=batches.accumulation,
        batch=batches.batch,
        learning_rate=learning_rate.choose(
            config.asked_rate, batches, tier, tier_choice.value, job
        ),
        optimizer_kernel=kernel.choose(job, this, capabilities),
        eval_precision=precision.choose_for_evaluation(config.precision, training_precision, this),
        eval_memory_format=precision.choose_format_for_evaluation(training_format),
        eval_batch=batch.choose_eval_batch(
            batches.micro_batch.value,
            config.eval_size or size.value,
            this.kind,
            memory_bytes.value,
        ),
        memory_share=share,
        memory_bytes=memory_bytes,
        pixels=memory.choose_pixels(
            job.kept_bytes(size.value, config.eval_size or size.value), job.disk_bytes, machine
        ),
        augment_on=loader.augment_on,
        workers=loader.workers,
        prefetch=loader.prefetch,
        pin_memory=loader.pin_memory,
        notes=notes_of(job, this),
    )


def notes_of(job: Job, device: Device) -> tuple[str, ...]:
    """What is to be said beside the decisions: advice, and what the device got wrong."""
    advice = (job.optimizer_advice,) if job.optimizer_advice else ()
    unused = (
        f"{name} failed its test on {device.address} ({why}) and is not used."
        for name, why in device.failed.items()
    )
    return (*advice, *unused)


def total_steps(config: TrainConfig, batch_size: int, job: Job) -> int:
    """Optimiser steps of the whole run; an epoch's last odd images make none."""
    epochs = min(config.epochs, config.limit_epochs or config.epochs)
    return job.training_images // batch_size * epochs
