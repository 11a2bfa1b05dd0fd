"""A plan within its memory: smaller passes and more of them, or an error that says what fits."""

from collections.abc import Callable
from dataclasses import replace
from math import lcm, sqrt
from typing import TypeVar

from lacewing.errors import PlanError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import backend_for
from lacewing.models.catalog import ModelInfo
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules.batch import even_passes
from lacewing.planning.rules.loading import batches_held, varied_bytes
from lacewing.planning.trial.findings import Findings
from lacewing.planning.trial.memory import STATES, MemoryModel
from lacewing.values import Choice, format_bytes

T = TypeVar("T")

SMALLER_MODEL = "a smaller --model such as mobilenet"
PIXEL_STEP = 32
"""Image sizes that are proposed are multiples of it, where the network has such."""
LEAST_PIXELS = 32
WEIGHT_BYTES = 4
"""Of a weight in fp32, as all are kept whatever the precision of the passes."""
CROSSING = 2
"""Batches whose pixels lie on a CUDA device beside those of the step: a copy's memory is free again
when the device has used it, and by then the host has sent the next."""


def fit_to_memory(plan: Plan, findings: Findings, job: Job) -> Plan:
    """The plan with passes that its memory holds; the batch and the learning rate stay.

    Raises PlanError with the shortfall if a single image does not fit.
    """
    model, allowed = findings.memory, plan.memory_bytes.value
    if model is None or allowed is None:
        return plan
    plan = fit_training(plan, findings, model, allowed, job)
    return fit_evaluation(plan, model, allowed, beside_the_step(plan, findings, job))


def fit_training(
    plan: Plan, findings: Findings, model: MemoryModel, allowed: int, job: Job
) -> Plan:
    """The plan with smaller passes in training if need be. Raises PlanError."""
    micro = plan.micro_batch.value
    need = model.bytes_for(micro) + beside_the_step(plan, findings, job)
    if need <= allowed:
        return plan
    # the smaller a pass, the more of the batch lies beside it: all but one image at the most
    beside = beside_the_step(with_passes_of(plan, 1), findings, job)
    most = model.largest(allowed - beside)
    if most < 1:
        raise PlanError(refusal(plan, model, allowed, beside, job))
    size, passes = even_passes(plan.batch.value, most)
    evidence = {
        "bytes": model.bytes_for(size) + beside,
        "bytes_of_the_larger": need,
        "allowed_bytes": allowed,
    }
    reason = f"{micro} would take {format_bytes(need)}, over the {format_bytes(allowed)} allowed"
    return replace(
        plan,
        micro_batch=Choice(size, reason, "measured", evidence),
        accumulation=Choice(passes, f"{passes} passes make the batch", "measured"),
        eval_batch=Choice(
            min(plan.eval_batch.value, max(1, 2 * size)), "twice the micro-batch", "measured"
        ),
    )


def with_passes_of(plan: Plan, images: int) -> Plan:
    """The plan with another micro-batch."""
    return replace(plan, micro_batch=replace(plan.micro_batch, value=images))


def fit_evaluation(plan: Plan, model: MemoryModel, allowed: int, beside: int) -> Plan:
    """The plan with smaller forward-only passes if need be."""
    images = plan.eval_batch.value
    most = max(1, model.largest_eval(allowed - beside))
    if images <= most:
        return plan
    need = format_bytes(model.eval_bytes_for(images) + beside)
    reason = f"{images} would take {need}, over the {format_bytes(allowed)} allowed"
    return replace(plan, eval_batch=Choice(most, reason, "measured"))


def refusal(plan: Plan, model: MemoryModel, allowed: int, beside: int, job: Job) -> str:
    """What lacks, and what would fit."""
    need, size = model.bytes_for(1) + beside, plan.image_size.value
    waiting = images_beside(with_passes_of(plan, 1))
    is_most = 2 * waiting > need
    with_them = f" beside {format_bytes(waiting)} of its batch's other images" if is_most else ""
    fitting = fitting_size(model, allowed - beside, size, job)
    smaller = ["a smaller --batch-size"] if is_most else []
    smaller += [f"--image-size {fitting}"] if fitting else []
    return (
        f"{job.model} at {size} pixels needs about {format_bytes(need)} for a pass of a single "
        f"image{with_them}, {format_bytes(need - allowed)} more than the {format_bytes(allowed)} "
        f"that this run may take on {plan.device.value}: {remedy_by_flags(plan, *smaller)}."
    )


def no_room(info: ModelInfo, plan: Plan, optimizer: str, free: int | None, remedy: str = "") -> str:
    """A sentence for a network that does not fit, however small the images.

    `free` is what the device has left, in bytes, where that can be asked. `remedy` is a clause on
    what to do; the flags of a new run if empty.
    """
    allowed = plan.memory_bytes.value
    room = "" if allowed is None else f" of the {format_bytes(allowed)} that this run may take"
    less = () if optimizer.lower() == "sgd" else ("--optimizer sgd",)
    now = "" if free is None else f" ({format_bytes(free)} are free now)"
    return (
        f"{info.name} does not fit into the memory of {plan.device.value}, even without images: "
        f"weights, gradients and the optimiser's state take up to {format_bytes(held_bytes(info))}"
        f"{room}{now}: {remedy or remedy_by_flags(plan, *less)}."
    )


def remedy_by_flags(plan: Plan, *others: str) -> str:
    """What lets a new run fit, a clause, after what else does."""
    room = "a larger --memory-share" if plan.memory_share.value < 1 else "more memory"
    return f"use {', '.join((*others, SMALLER_MODEL))} or {room}"


def within_memory(
    work: Callable[[], T],
    info: ModelInfo,
    plan: Plan,
    optimizer: str,
    backends: BackendTable,
    remedy: str = "",
) -> T:
    """What `work` gives. Raises PlanError where the network does not fit the plan's device.

    It says to do the `remedy`, a clause; what a new run could be given if empty.
    """
    backend, index = backend_for(plan.device.value, backends)
    try:
        return work()
    except Exception as error:  # each backend has its own type: it tells which is meant
        if not backend.is_out_of_memory(error):
            raise
    raise PlanError(no_room(info, plan, optimizer, backend.memory(index).free_bytes, remedy))


def held_bytes(info: ModelInfo) -> int:
    """What training holds apart from images, at the most: for an optimiser with two moments."""
    return STATES * WEIGHT_BYTES * info.parameters


def fitting_size(model: MemoryModel, allowed: int, size: int, job: Job) -> int | None:
    """The largest image size of which one image fits and which the network takes; None if none.

    What an image keeps grows with its area.
    """
    room = allowed - model.fixed_bytes
    if room <= 0 or model.image_bytes <= 0 or job.fixed_size:
        return None
    most, least = int(size * sqrt(room / model.image_bytes)), max(LEAST_PIXELS, job.min_size)
    for step in (lcm(PIXEL_STEP, job.size_multiple), job.size_multiple):
        side = most // step * step
        if least <= side < size:
            return side
    return None


def beside_the_step(plan: Plan, findings: Findings, job: Job) -> int:
    """Bytes of the device that the run holds beyond one pass and what it leaves behind.

    Images, the average of the weights, and on the CPU the newest snapshot.
    """
    snapshot = taken_by_snapshot(plan, findings, job)
    return snapshot + job.average_bytes + images_beside(plan) + crossing_bytes(plan, job)


def taken_by_snapshot(plan: Plan, findings: Findings, job: Job) -> int:
    """Bytes of the device that a snapshot takes: it is in RAM."""
    return findings.snapshot_bytes + job.average_bytes if plan.device.value == "cpu" else 0


def images_beside(plan: Plan) -> int:
    """Bytes of images on the device that are not of the present pass.

    Where several passes make a step, the rest of the batch; on the CPU, the batches that threads
    make ahead.
    """
    batch, side = plan.batch.value, plan.image_size.value
    held = batches_held(plan.workers.value, plan.prefetch.value)
    if plan.device.value == "cpu" and held:
        return held * varied_bytes(batch, side)
    return varied_bytes(batch - plan.micro_batch.value, side)


def crossing_bytes(plan: Plan, job: Job) -> int:
    """Bytes of decoded images on their way to a CUDA device, which copies beside its steps."""
    kind = plan.device.value.partition(":")[0]
    if kind != "cuda" or plan.pixels.value == "device":
        return 0
    images = CROSSING * plan.batch.value
    return images * job.device_bytes(plan.image_size.value) // job.training_images


def predicted_bytes(plan: Plan, findings: Findings, job: Job) -> int:
    """The highest memory of the run: of the whole process on the CPU, of the device else."""
    model = findings.memory
    taken, kept = 0, float(beside_the_step(plan, findings, job))
    if model:
        taken = max(
            model.bytes_for(plan.micro_batch.value), model.eval_bytes_for(plan.eval_batch.value)
        )
        # a new snapshot is made before the old one goes, but between steps
        made = taken_by_snapshot(plan, findings, job)
        taken = max(taken, round(model.fixed_bytes) + made)
    where = "ram" if plan.device.value == "cpu" else "device"
    if plan.pixels.value == where:
        need = plan.pixels.evidence.get("need_bytes", 0)
        kept += need if isinstance(need, int | float) else 0.0
    return round(findings.base_bytes + taken + kept)
