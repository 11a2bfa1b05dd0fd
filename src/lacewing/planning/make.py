"""make_plan(): the rules in their order."""

from lacewing.config import TrainConfig
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.machine import Machine
from lacewing.performance_config import TIERS, Tier
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules import (
    batch,
    compile,
    device,
    image_size,
    learning_rate,
    loader,
    memory,
    precision,
)
from lacewing.values import Choice


def make_plan(
    config: TrainConfig, machine: Machine, job: Job, tiers: dict[str, Tier] = TIERS
) -> Plan:
    """Decide how `job` is carried out on `machine`. Pure: the same arguments, the same plan.

    Raises DeviceError or ModelError where what was asked can't be honoured.
    """
    chosen = device.choose(config.device, machine)
    this = device.find_device(machine, chosen.value)
    capabilities = BACKENDS[this.kind]().capabilities
    tier_choice = device.choose_tier(this)
    tier = tiers[tier_choice.value]
    batches = batch.choose(
        config.batch_size, config.accumulate, tier, this, machine, job.training_images
    )
    steps = max(1, job.training_images // batches.batch.value) * config.epochs
    size = image_size.choose(config.image_size, tier, job)
    share = memory.choose_share(config.memory_share, tier)
    loading = loader.choose(config.workers, tier, this, machine, capabilities)
    return Plan(
        device=chosen,
        tier=tier_choice,
        threads=loader.choose_threads(config.threads, machine),
        precision=precision.choose(config.precision, this, tier),
        memory_format=precision.choose_memory_format(config.memory_format, this, capabilities),
        compile=compile.choose(config.compile, tier, capabilities, this.kind, steps),
        image_size=size,
        micro_batch=batches.micro_batch,
        accumulation=batches.accumulation,
        batch=batches.batch,
        learning_rate=learning_rate.choose(config.learning_rate, batches, tier, job),
        optimizer_kernel=choose_kernel(job.optimizer_kernels, capabilities.optimizer_kernels),
        memory_share=share,
        memory_bytes=memory.choose_bytes(share, this, machine),
        pixels=memory.choose_pixels(job.cache_bytes, size.value, machine),
        workers=loading.workers,
        prefetch=loading.prefetch,
        persistent_workers=loading.persistent_workers,
        pin_memory=loading.pin_memory,
        notes=tuple(note for note in (job.optimizer_advice,) if note),
    )


def choose_kernel(optimizer: tuple[str, ...], device: tuple[str, ...]) -> Choice[str]:
    """The fastest kernel that both the optimiser and the device have."""
    for kernel in ("fused", "foreach"):
        if kernel in optimizer and kernel in device:
            return Choice(kernel, "optimiser and device both have it", "rule")
    return Choice("plain", "no faster one on this device for this optimiser", "rule")
