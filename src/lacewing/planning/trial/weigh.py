"""After the race: the memory that the winner takes, and its micro-batch."""

from collections.abc import Sequence
from dataclasses import replace

from lacewing.hardware.allocator import is_kept
from lacewing.planning.trial import memory, sizes
from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.context import Trial
from lacewing.planning.trial.findings import Timed
from lacewing.planning.trial.forecast import larger_in_evaluation
from lacewing.planning.trial.images import FORWARD_TO_STEP, count_memory, most_images
from lacewing.planning.trial.memory import MemoryModel
from lacewing.planning.trial.passes import guarded
from lacewing.planning.trial.peaks import (
    Peaks,
    Task,
    added_by_forward,
    peaks_here,
    peaks_in_child,
    sizes_for,
    steps_of,
)
from lacewing.planning.trial.ways import Way

SAFE_SHARE = 0.4
"""Of the allowed memory: a run that is counted on to take less is measured in this process."""
WEIGHED_IMAGES = 64
"""The largest pass whose memory is measured, if the plan has none larger."""
WEIGHED_SHARE = 0.2
"""Of the trial's time, that weighing in this process may take whatever is left."""
LEAST_WEIGHED = 2
"""Images of a pass, below which BatchNorm has no statistics."""
CHILD_SECONDS = 30.0
"""That a child process may take however short the trial: most of them go into loading torch."""
SIZES_SECONDS = 10.0
"""For trying micro-batches where `--batch-size auto` asks for it, whatever is left."""


def weigh_memory(trial: Trial, best: Timed, forward: Way) -> tuple[MemoryModel, bool]:
    """What the ways take, and whether it was measured or only counted.

    On the CPU, what may come near the limit is measured in a child process, and what is far
    from it only if the trial has time for it.
    """
    way = best.way
    forward = replace(forward, images=trial.plan.eval_batch.value)
    is_cpu = trial.bench.backend.kind == "cpu"
    counted = count_memory(trial, way, has_run=best.seconds is not None)
    counted = counted.on_cpu() if is_cpu else counted
    most, allowed = most_images(trial), trial.plan.memory_bytes.value
    # of a larger pass the line through smaller ones tells
    micro = max(trial.plan.micro_batch.value, min(most, WEIGHED_IMAGES))
    is_safe = allowed is None or counted.bytes_for(most) < SAFE_SHARE * allowed
    if not is_cpu:
        found = peaks_of(trial, way, forward, sizes_for(micro), allowed)
    elif is_safe and trial.config.batch_size != "auto":
        found = peaks_of(trial, way, forward, sizes_in_time(trial, best, micro), None)
    else:
        seconds = child_seconds(trial.budget, is_safe)
        found = peaks_in_child(task_of(trial, way, forward, micro), seconds)
    if not found.training:
        return counted, False
    larger = larger_in_evaluation(trial.config.eval_size, trial.plan.image_size.value)
    line = replace(
        memory.fit(found.training, counted.image_bytes),
        eval_image_bytes=larger * found.eval_image_bytes,
    )
    return line.times(memory.HOLES if is_cpu and is_kept() else 1.0), True


def sizes_in_time(trial: Trial, best: Timed, micro: int) -> tuple[int, ...]:
    """The largest pass of up to `micro` images that can be weighed in the time left; () if none.

    Of one: what a second adds is hidden by the memory that the first has left.
    """
    each = steps_of(trial.bench, best.way) * expected_seconds(best, 1)
    seconds = max(trial.budget.left, WEIGHED_SHARE * trial.budget.limit)
    within = min(micro, int(seconds / each)) if each else micro
    return (within,) if within >= min(micro, LEAST_WEIGHED) else ()


def child_seconds(budget: Budget, is_safe: bool) -> float:
    """What a child process may take.

    What may come near the limit is weighed however little time was asked for: a run that the
    system ends is worse than a plan that takes longer.
    """
    if is_safe and budget.asked is not None:
        return budget.left
    return max(CHILD_SECONDS, budget.left)


def peaks_of(
    trial: Trial, way: Way, forward: Way, sizes: tuple[int, ...], allowed: int | None
) -> Peaks:
    """Peaks in this process; on the CPU without the forward-only pass where there is no time.

    There it adds little: what a training pass has freed is kept, and it needs less.
    """
    training = peaks_here(trial.bench, way, sizes, trial.base_bytes, allowed)
    is_cpu = trial.bench.backend.kind == "cpu"
    seconds = FORWARD_TO_STEP * trial.budget.fastest * forward.images
    if not training or (is_cpu and not trial.budget.has_room(seconds)):
        return Peaks(training)
    return Peaks(training, added_by_forward(trial.bench, forward, way.memory_format))


def snapshot_of(trial: Trial, way: Way, model: MemoryModel) -> int:
    """Bytes of a copy of the way's network and its optimiser's state."""
    bench = trial.bench
    optimizer = bench.optimizer(way)
    taken = memory.snapshot_bytes(bench.copy(way.memory_format), optimizer)
    # without a step there is no state yet: of what is fixed, all but weights and gradients
    return taken if optimizer.state else max(taken, round(model.fixed_bytes) - taken)


def task_of(trial: Trial, way: Way, forward: Way, micro: int) -> Task:
    """What a child is asked to measure."""
    fields = {**vars(way)}
    del fields["images"]
    return Task(
        model=trial.job.model,
        classes=trial.job.classes,
        image_size=trial.plan.image_size.value,
        optimizer=trial.config.optimizer,
        way=fields,
        sizes=sizes_for(micro),
        allowed=trial.plan.memory_bytes.value,
        forward={**vars(forward)},
        freeze_norms=trial.bench.freeze_norms,
    )


def expected_seconds(best: Timed, images: int) -> float:
    """Of passes over so many images, by the one that was timed."""
    return (best.seconds or 0.0) * images / best.way.images


def try_sizes(trial: Trial, best: Timed, most: int) -> list[Timed]:
    """The way at the micro-batches that are open, up to what the memory and the time hold."""
    way, open_sizes = best.way, sizes.open_sizes(trial.plan, trial.config, trial.tier, trial.job)
    if trial.config.batch_size != "auto" and not has_room_for(trial, best, open_sizes):
        return []

    def run(sized: Way) -> float | str:
        found = guarded(trial.bench, lambda: trial.bench.train(sized))
        return found if isinstance(found, str) else found.seconds

    began, until = trial.budget.spent, trial.budget.until(0.9)

    def has_time() -> bool:
        # whoever asks for a measured size waits for it
        is_asked = trial.config.batch_size == "auto"
        return until() or (is_asked and trial.budget.spent - began < SIZES_SECONDS)

    is_kept = trial.config.accumulate and trial.config.batch_size != "auto"
    times = sizes.descend if is_kept else sizes.climb
    return times(way, open_sizes, run, has_time, most)


def has_room_for(trial: Trial, best: Timed, open_sizes: Sequence[int]) -> bool:
    """Whether all sizes can be timed in what is left: of some of them no choice could be made."""
    return trial.budget.has_room((sizes.PASSES + 1) * expected_seconds(best, sum(open_sizes)))
