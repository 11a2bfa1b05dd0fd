"""What was measured becomes the plan: pure, the same findings give the same plan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lacewing.config import TrainConfig
from lacewing.performance_config import Tier
from lacewing.planning.job import Job
from lacewing.planning.make import total_steps
from lacewing.planning.measured import Measured
from lacewing.planning.plan import Plan
from lacewing.planning.rules import batch, learning_rate, loading, memory
from lacewing.planning.trial import feeding, payback, sizes
from lacewing.planning.trial.candidates import candidate_rows, label
from lacewing.planning.trial.findings import Findings, Timed
from lacewing.planning.trial.fitting import fit_to_memory, predicted_bytes
from lacewing.planning.trial.forecast import Amounts, forecast, pass_seconds_per_image
from lacewing.planning.trial.other_sizes import with_costs
from lacewing.planning.trial.varying import fastest
from lacewing.planning.trial.ways import Way
from lacewing.values import Choice, counted, format_bytes

T = TypeVar("T")

PIXELS_SHARE = 0.8
"""Of the device memory that is allowed and that the network does not take."""
EVALUATION_SAID = {"ram": "in RAM", "disk": "on the disk", "none": "decoded each time"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a plan is made from, machine apart."""

    config: TrainConfig
    job: Job
    tier: Tier
    amounts: Amounts
    cores: int
    compile_modes: tuple[str, ...] = ("default",)
    """Whether torch.compile is open to be tried."""
    own_memory: bool = False
    """Whether the device has memory of its own, to which images must be copied."""


def refine(plan: Plan, findings: Findings, asked: Asked, *, remembered: bool = False) -> Plan:
    """The plan with measured choices in place of the rules'; the user's stay.

    Raises PlanError where not even a single image fits the memory.
    """
    plan = with_varying(sized(plan, findings, asked), findings)
    plan = with_pixels(plan, findings, asked)
    plan = with_compile(plan, findings, asked)
    is_timed = findings.best.seconds is not None
    figures = forecast(plan, findings, asked.amounts, asked.cores) if is_timed else {}
    is_even = asked.config.is_classic and not asked.config.progressive_resizing
    if is_timed and is_even:
        plan = with_costs(plan, asked.job, asked.tier, figures["epoch_seconds"])
    figures["peak_bytes"] = float(predicted_bytes(plan, findings, asked.job))
    return replace(
        plan,
        measured=Measured(
            forecast={name: round(value, 3) for name, value in figures.items()},
            candidates=candidate_rows(findings, plan),
            seconds=round(findings.seconds, 1),
            remembered=remembered,
        ),
    )


def sized(plan: Plan, findings: Findings, asked: Asked) -> Plan:
    """The plan with the fastest ways, in passes that its memory holds. Raises PlanError."""
    plan = with_size(with_fastest(plan, findings), findings, asked)
    plan = with_workers_within(with_workers(plan, findings, asked), asked)
    return fit_to_memory(plan, findings, asked.job)


def with_fastest(plan: Plan, findings: Findings) -> Plan:
    """Precision, format, kernel and threads of the fastest ways."""
    best, forward = findings.best, findings.best_forward
    kernels = [one for one in findings.training if is_like(one, best, "kernel")]
    threads = [one for one in findings.training if is_like(one, best, "threads")]
    formats = findings.training
    return replace(
        plan,
        precision=chosen(plan.precision, best.way.precision, best, formats),
        memory_format=chosen(plan.memory_format, best.way.memory_format, best, formats),
        optimizer_kernel=chosen(
            plan.optimizer_kernel, best.way.kernel, best, kernels, lambda way: way.kernel
        ),
        threads=chosen(
            plan.threads,
            best.way.threads,
            best,
            threads,
            lambda way: counted(way.threads, "thread"),
        ),
        eval_precision=chosen(
            plan.eval_precision, forward.way.precision, forward, findings.forward
        ),
        eval_memory_format=chosen(
            plan.eval_memory_format, forward.way.memory_format, forward, findings.forward
        ),
    )


def is_like(one: Timed, best: Timed, but: str) -> bool:
    """Whether two ways are the same but for one field."""
    return replace(one.way, **{but: getattr(best.way, but)}) == best.way


def chosen(
    choice: Choice[T],
    value: T,
    best: Timed,
    tried: Sequence[Timed],
    name: Callable[[Way], str] | None = None,
) -> Choice[T]:
    """The measured value with the others' figures; a choice without alternatives stays.

    `name` is what tells the ways apart, if they have precision and format in common.
    """
    if choice.source == "user" or len(tried) < 2 or best.rate is None:
        return choice
    reason = reason_for(best, tried) if name is None else compared(best, tried, name)
    return Choice(value, reason, "measured", evidence_of(tried))


def reason_for(best: Timed, tried: Sequence[Timed]) -> str:
    """`"90 images/s in bf16 channels_last, the best of 4; 43 in fp32 contiguous"`."""
    sentence = f"{best.rate:,.0f} images/s in {best.way.describe()}, the best of {len(tried)}"
    plain = [
        one
        for one in tried
        if (one.way.precision, one.way.memory_format) == ("fp32", "contiguous") and one.rate
    ]
    if plain and plain[0].way.describe() != best.way.describe():
        return f"{sentence}; {plain[0].rate:,.0f} in fp32 contiguous"
    return sentence


def compared(best: Timed, tried: Sequence[Timed], name: Callable[[Way], str]) -> str:
    """`"90 images/s with fused; 81 with foreach"`."""
    others = [one for one in tried if one.way != best.way and one.rate]
    rates = [f"{one.rate:,.0f} with {name(one.way)}" for one in others]
    return "; ".join([f"{best.rate:,.0f} images/s with {name(best.way)}", *rates])


def evidence_of(tried: Sequence[Timed]) -> dict[str, float | str]:
    """Images per second of each way, or why it is out."""
    return {label(one): f"{one.out}" if one.rate is None else round(one.rate, 1) for one in tried}


def with_size(plan: Plan, findings: Findings, asked: Asked) -> Plan:
    """The smallest micro-batch that is about as fast as the fastest, and what follows from it.

    Where accumulation keeps the batch, the largest; also where the time was too short to try any.
    """
    tried = [one for one in findings.sizes if one.rate]
    is_kept = asked.config.accumulate and asked.config.batch_size != "auto"
    if is_kept and not findings.sizes:
        return resized(plan, whole_batch(plan, findings, asked), asked)
    if len(tried) < (1 if is_kept else 2):
        return plan
    best = sizes.choose_largest(tried) if is_kept else sizes.choose(tried)
    which = "largest" if is_kept else "smallest"
    reason = f"{best.rate:,.0f} images/s: the {which} of {len(tried)} that is about the fastest"
    micro = Choice(best.way.images, reason, "measured", evidence_of(tried))
    return resized(plan, micro, asked)


def whole_batch(plan: Plan, findings: Findings, asked: Asked) -> Choice[int]:
    """The largest pass, if it is known what memory passes take; else the rules' stays."""
    most = sizes.largest(plan, asked.config, asked.tier, asked.job)
    if findings.memory is None or most == plan.micro_batch.value:
        return plan.micro_batch
    return Choice(most, "the largest pass: there was no time to try smaller ones", "rule")


def resized(plan: Plan, micro: Choice[int], asked: Asked) -> Plan:
    """Another micro-batch, with batch and learning rate as the rules have them."""
    config, job = asked.config, asked.job
    requested = config.batch_size if isinstance(config.batch_size, int) else None
    choices = batch.with_micro_batch(requested, config.accumulate, micro, job.training_images)
    return replace(
        plan,
        micro_batch=choices.micro_batch,
        accumulation=choices.accumulation,
        batch=choices.batch,
        eval_batch=batch.choose_eval_batch(
            choices.micro_batch.value,
            config.eval_size or plan.image_size.value,
            plan.device.value.partition(":")[0],
            plan.memory_bytes.value,
        ),
        learning_rate=learning_rate.choose(
            config.asked_rate, choices, asked.tier, plan.tier.value, job
        ),
    )


def with_pixels(plan: Plan, findings: Findings, asked: Asked) -> Plan:
    """Training's decoded images in the device's memory, if the measured peak leaves room there.

    They go there batch by batch, so RAM and the disk need not hold them; those of validation stay
    where the rules keep that many.
    """
    allowed, need = plan.memory_bytes.value, asked.job.device_bytes(plan.image_size.value)
    is_open = asked.own_memory and plan.augment_on.value != "cpu" and not is_shared(plan, asked)
    if not is_open or allowed is None or not findings.memory_measured:
        return plan
    there = replace(plan, pixels=Choice("device", "", "measured"))  # then none cross to it
    room = int(PIXELS_SHARE * (allowed - predicted_bytes(there, findings, asked.job)))
    if need > room:
        return plan
    beside = place_of_evaluation(plan, need, asked)
    evidence: dict[str, float | str] = {
        "need_bytes": need,
        "room_bytes": room,
        "evaluation": beside,
    }
    reason = (f"{format_bytes(need)} of the {format_bytes(room)} that the network leaves there; "
              f"validation's {EVALUATION_SAID[beside]}")  # fmt: skip
    return replace(plan, pixels=Choice("device", reason, "measured", evidence))


def is_shared(plan: Plan, asked: Asked) -> bool:
    """Whether decoded images lie on the disk for other processes, or from earlier runs.

    In the device's memory each process would decode them anew.
    """
    is_decoded = asked.amounts.undecoded[0] < 1.0
    return plan.pixels.value == "disk" and (asked.amounts.processes > 1 or is_decoded)


def place_of_evaluation(plan: Plan, training_bytes: int, asked: Asked) -> str:
    """Where the rules keep validation's decoded images without those of training."""
    size = plan.image_size.value
    both = asked.job.kept_bytes(size, asked.config.eval_size or size)
    return memory.place_of_part(plan.pixels, both - training_bytes, asked.amounts.processes)


def with_varying(plan: Plan, findings: Findings) -> Plan:
    """Images varied by kernels or by tensor operations, where both were tried."""
    if not findings.varied:
        return plan
    best = fastest(findings.varied)
    names = {"device": "by tensor operations", "kernel": "by Triton's kernels"}
    others = [
        f"{one.rate:,.0f} {names[one.by]}" if one.rate else f"{names[one.by]}: {one.out}"
        for one in findings.varied
        if one is not best
    ]
    told = f"{best.rate or 0.0:,.0f} images/s varied {names[best.by]}"
    evidence = {one.by: one.out or round(one.rate or 0.0, 1) for one in findings.varied}
    choice = Choice(best.by, "; ".join([told, *others]), "measured", evidence)
    return replace(plan, augment_on=choice)


def with_workers(plan: Plan, findings: Findings, asked: Asked) -> Plan:
    """The number of decoding threads with which the loop was fastest."""
    best = feeding.choose(findings.fed)
    others = [one for one in findings.fed if one is not best and one.rate]
    if plan.workers.source == "user" or best is None or not others:
        return plan
    rates = "; ".join(f"{one.rate:,.0f} with {one.workers}" for one in others)
    reason = f"{best.rate:,.0f} images/s, images and network together; {rates}"
    evidence = {counted(one.workers, "thread"): one.out or round(one.rate or 0.0, 1)
                for one in findings.fed}  # fmt: skip
    return replace(
        plan,
        workers=Choice(best.workers, reason, "measured", evidence),
        prefetch=loading.choose_prefetch(best.workers, asked.tier),
    )


def with_workers_within(plan: Plan, asked: Asked) -> Plan:
    """Fewer threads on a CPU where the batch has become too large for as many of it."""
    if plan.device.value != "cpu":
        return plan
    each = loading.varied_bytes(plan.batch.value, plan.image_size.value)
    workers = loading.within_share(plan.workers, each, plan.memory_bytes.value)
    if workers is plan.workers:
        return plan
    prefetch = loading.choose_prefetch(workers.value, asked.tier)
    return replace(plan, workers=workers, prefetch=prefetch)


def with_compile(plan: Plan, findings: Findings, asked: Asked) -> Plan:
    """torch.compile where it was measured to pay; where not, why, in seconds.

    Of several processes each passes over its share of the images. The clock of a `--budget` ends
    the run, so more than it holds is no saving.
    """
    if not asked.compile_modes or findings.best.seconds is None:
        return plan
    steps = total_steps(asked.config, plan.batch.value, asked.job)
    images = steps * plan.batch.value // asked.amounts.processes
    seconds = pass_seconds_per_image(plan, findings) * images
    if asked.config.budget is not None and seconds > asked.config.budget:
        images = int(images * asked.config.budget / seconds)
        seconds = asked.config.budget
    kind, passes = plan.device.value.partition(":")[0], plan.accumulation.value
    return replace(
        plan, compile=payback.choose(kind, asked.compile_modes, findings, seconds, images, passes)
    )
