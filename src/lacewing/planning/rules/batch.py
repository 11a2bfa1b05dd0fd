"""Requested batch -> micro-batch -> images per optimiser step, and per forward-only pass."""

from dataclasses import dataclass
from math import ceil

from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import (
    EVAL_BATCH,
    EVAL_TO_INPUT,
    LARGE_EVAL_BATCH,
    LEAST_BATCH_FOR_BATCHNORM,
    SMALL_GPU_BYTES,
    SMALL_RAM_BYTES,
    Tier,
)
from lacewing.planning.rules.loading import varied_bytes
from lacewing.values import Choice, format_bytes


@dataclass(frozen=True)
class BatchChoices:
    """The three sizes, and what was requested."""

    requested: int
    """Where nothing was requested, the chosen batch."""
    micro_batch: Choice[int]
    accumulation: Choice[int]
    batch: Choice[int]
    kept: bool = False
    """Whether the requested batch is kept by accumulation."""


def choose(
    asked: int | None,
    accumulate: bool,
    tier: Tier,
    device: Device,
    machine: Machine,
    training_images: int,
) -> BatchChoices:
    """The tier's share of the requested batch; with `accumulate`, all of it in several passes."""
    if asked is None:
        micro = choose_unasked(tier, training_images)
    else:
        micro = choose_micro_batch(asked, tier, device, machine, training_images)
    return with_micro_batch(asked, accumulate, micro, training_images)


def choose_unasked(tier: Tier, training_images: int) -> Choice[int]:
    """The tier's own size, where no batch was requested."""
    if training_images < tier.default_batch:
        return Choice(training_images, "all the training images there are", "rule")
    return Choice(tier.default_batch, "the tier's size, as none was requested", "rule")


def choose_micro_batch(
    asked: int, tier: Tier, device: Device, machine: Machine, training_images: int
) -> Choice[int]:
    """Images per forward and backward pass: a share of the requested, enough for BatchNorm."""
    requested = min(asked, training_images)
    share = choose_share(tier, device, machine)
    size = max(1, round(requested * share))
    evidence = {"requested": asked, "training_images": training_images, "share": share}
    floor = min(LEAST_BATCH_FOR_BATCHNORM, requested)
    if max(size, floor) == asked:
        return Choice(asked, "as requested", "user", evidence)
    if size < floor:
        reason = f"{share:g} x {requested} is {size}, too few for BatchNorm's statistics"
        return Choice(floor, reason, "rule", evidence)
    of = f"the requested {asked}" if requested == asked else f"all {requested} training images"
    reason = of if share == 1 else f"{share:g} x {of}: the tier's share"
    return Choice(size, reason, "rule", evidence)


def choose_share(tier: Tier, device: Device, machine: Machine) -> float:
    """The tier's larger share, or its smaller one where memory is small or unknown."""
    low, high = tier.batch_share
    if device.kind == "cpu":
        return low if machine.memory.value < SMALL_RAM_BYTES else high
    return low if (device.total_bytes or 0) < SMALL_GPU_BYTES else high


def accumulated(asked: int, batch: int, micro: Choice[int]) -> BatchChoices:
    """A batch in even passes (their sizes differ by 1 at most), none too small for BatchNorm."""
    most = max(1, batch // LEAST_BATCH_FOR_BATCHNORM)
    size, passes = even_passes(batch, max(micro.value, ceil(batch / most)))
    if size != micro.value:
        micro = Choice(size, f"{batch} in {passes} even passes", "rule", micro.evidence)
    counted = f"{passes} passes make" if passes > 1 else "one pass makes"
    if batch == asked:
        kept = Choice(batch, "as requested, by accumulation", "user")
    else:
        kept = Choice(batch, "all the training images, by accumulation", "rule")
    return BatchChoices(
        asked,
        micro,
        Choice(passes, f"{counted} a batch of {batch} (--accumulate)", "user"),
        kept,
        kept=True,
    )


def even_passes(batch: int, most: int) -> tuple[int, int]:
    """A batch in as few passes of at most `most` images as can be: their size and number."""
    size = ceil(batch / ceil(batch / most))
    return size, ceil(batch / size)


def with_micro_batch(
    asked: int | None, accumulate: bool, micro: Choice[int], training_images: int
) -> BatchChoices:
    """What follows from a micro-batch that was measured."""
    if asked is not None and accumulate:
        return accumulated(asked, min(asked, training_images), micro)
    passes = Choice(1, "one pass is one step", "rule")
    batch = Choice(micro.value, "images per optimiser step: one pass", micro.source)
    return BatchChoices(asked or micro.value, micro, passes, batch)


def choose_eval_batch(
    micro_batch: int, side: int, kind: str, allowed_bytes: int | None
) -> Choice[int]:
    """Images per forward-only pass: it keeps no activations, so more fit than in training."""
    if kind not in LARGE_EVAL_BATCH or allowed_bytes is None:
        return eval_batch_within(by_micro_batch(micro_batch), side, allowed_bytes)
    reason = "a GPU takes about as long for few as for many"
    wanted = Choice(LARGE_EVAL_BATCH[kind], reason, "rule")
    return eval_batch_within(wanted, side, allowed_bytes)


def by_micro_batch(micro_batch: int) -> Choice[int]:
    """Twice as many images as of a training pass, within bounds."""
    least, most = EVAL_BATCH
    size = min(max(2 * micro_batch, least), most)
    if size == 2 * micro_batch:
        return Choice(size, "twice the micro-batch: nothing is kept for gradients", "rule")
    return Choice(size, f"the {'least' if size == least else 'most'} that is worth it", "rule")


def eval_batch_within(images: Choice[int], side: int, allowed_bytes: int | None) -> Choice[int]:
    """No more images of a forward-only pass than the memory is likely to hold; one at the least.

    A guess for passes that come before anything is measured, or without: where RAM runs out, Linux
    ends a process without a word.
    """
    if allowed_bytes is None:
        return images
    each = EVAL_TO_INPUT * varied_bytes(1, side)
    most = max(1, allowed_bytes // each)
    if images.value <= most:
        return images
    reason = f"about {format_bytes(each)} each, of the {format_bytes(allowed_bytes)} allowed"
    return Choice(most, reason, "rule", {"image_bytes": each, "allowed_bytes": allowed_bytes})
