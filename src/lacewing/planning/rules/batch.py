"""Requested batch -> micro-batch -> images per optimiser step."""

from dataclasses import dataclass
from math import ceil

from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import LEAST_BATCH_FOR_BATCHNORM, SMALL_RAM_BYTES, Tier
from lacewing.values import Choice

TINY_GPU_BYTES = 2.5e9
"""Below this much device memory the low tier takes the lower end of its share."""


@dataclass(frozen=True)
class BatchChoices:
    """The three sizes, and the batch that was requested."""

    requested: int
    micro_batch: Choice[int]
    accumulation: Choice[int]
    batch: Choice[int]


def choose(
    asked: int | None,
    accumulate: bool,
    tier: Tier,
    device: Device,
    machine: Machine,
    training_images: int,
) -> BatchChoices:
    """The tier's share of the requested batch, at least what BatchNorm needs."""
    micro = choose_micro_batch(asked, tier, device, machine, training_images)
    requested = min(asked or micro.value, training_images)
    if accumulate and micro.value < requested:
        passes = ceil(requested / micro.value)
        accumulation = Choice(
            passes, f"{passes} micro-batches make the requested batch of {requested}", "user"
        )
        batch = Choice(requested, "the requested batch, by accumulation", "user")
    else:
        accumulation = Choice(1, "one micro-batch is one step", "rule")
        batch = Choice(micro.value, "images per optimiser step", "rule")
    return BatchChoices(requested, micro, accumulation, batch)


def choose_micro_batch(
    asked: int | None, tier: Tier, device: Device, machine: Machine, training_images: int
) -> Choice[int]:
    """Images per forward and backward pass."""
    if asked is None:
        size = min(tier.default_batch, training_images)
        return Choice(size, "none was requested: the tier's size", "rule")
    requested = min(asked, training_images)
    low, high = tier.batch_share
    small = (
        machine.memory.value < SMALL_RAM_BYTES
        if device.kind == "cpu"
        else (device.total_bytes or 0) < TINY_GPU_BYTES
    )
    share = low if small else high
    size = max(1, round(requested * share))
    floor = min(LEAST_BATCH_FOR_BATCHNORM, requested)
    evidence = {"requested": requested, "share": share}
    if size < floor:
        reason = f"{share:g} of the requested {requested} is {size}: too few for BatchNorm"
        return Choice(floor, reason, "rule", evidence)
    if requested < asked:
        evidence["asked"] = asked
        reason = f"{share:g} of {requested}, all the training images there are"
        return Choice(size, reason, "rule", evidence)
    reason = "as requested" if share == 1 else f"{share:g} of the requested {requested}"
    return Choice(size, reason, "rule", evidence)
