"""After the race: the memory that the winner takes, its micro-batch, and torch.compile."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch

from lacewing.engine.prepare import CompiledModel, compile_model
from lacewing.hardware.allocator import is_kept
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules.compile import compiled_anew, is_open, usual_seconds
from lacewing.planning.trial import history, memory, payback, sizes
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.context import Trial
from lacewing.planning.trial.findings import CompileTime, Timed
from lacewing.planning.trial.forecast import larger_in_evaluation
from lacewing.planning.trial.images import count_memory, most_images
from lacewing.planning.trial.memory import MemoryModel
from lacewing.planning.trial.passes import guarded
from lacewing.planning.trial.payback import Payback
from lacewing.planning.trial.peaks import (
    Peaks,
    Task,
    added_by_forward,
    peaks_here,
    peaks_in_child,
    sizes_for,
)
from lacewing.planning.trial.ways import Way

SAFE_SHARE = 0.4
"""Of the allowed memory: a run that is counted on to take less is measured in this process."""
WEIGHED_IMAGES = 64
"""The largest pass whose memory is measured, if the plan has none larger."""
CHILD_SECONDS = 30.0
"""That a child process may take however short the trial: most of them go into loading torch."""
COMPILED_PASSES = 3
SIZES_SECONDS = 10.0
"""For trying micro-batches where `--batch-size auto` asks for it, whatever is left."""


def weigh_memory(trial: Trial, best: Timed, forward: Way) -> tuple[MemoryModel, bool]:
    """What the ways take, and whether it was measured or only counted.

    On the CPU, what may come near the limit is measured in a child process, and what is far
    from it only if the trial has time for it.
    """
    way = best.way
    forward = replace(forward, images=trial.plan.eval_batch.value)
    counted = count_memory(trial, way, has_run=best.seconds is not None)
    most, allowed = most_images(trial), trial.plan.memory_bytes.value
    # of a larger pass the line through smaller ones tells
    micro = max(trial.plan.micro_batch.value, min(most, WEIGHED_IMAGES))
    is_safe = allowed is None or counted.bytes_for(most) < SAFE_SHARE * allowed
    is_cpu = trial.bench.backend.kind == "cpu"
    if not is_cpu:
        found = peaks_of(trial, way, forward, sizes_for(micro), allowed)
    elif is_safe and not trial.budget.has_room(3 * expected_seconds(best, micro)):
        return counted, False
    elif is_safe and trial.config.batch_size != "auto":
        found = peaks_of(trial, way, forward, (micro,), None)
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
    """Peaks in this process."""
    training = peaks_here(trial.bench, way, sizes, trial.base_bytes, allowed)
    if not training:
        return Peaks({})
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


def try_compile(trial: Trial, best: Timed) -> tuple[CompileTime, ...]:
    """What compiling costs and gives in each mode, if it is open and likely to pay."""
    plan, model, capabilities = trial.plan, trial.job.model, trial.bench.backend.capabilities
    anew_for = compiled_anew(trial.config)
    open_to_it = is_open(plan.compile, trial.tier, capabilities, trial.device, anew_for)
    if not open_to_it or best.seconds is None:
        return ()
    tried: list[CompileTime] = []
    for mode in payback.usable(capabilities.compile_modes, plan.accumulation.value):
        likely = likely_payback(plan, trial.job, best, trial.budget, mode)
        if not likely.worth_trying or likely.cost_seconds > trial.budget.left_of_share:
            continue
        tried.append(time_compiled(trial, best.way, mode))
        # what failed, and perhaps at once, does not tell what compiling takes
        if tried[-1].pass_seconds is not None:
            history.remember_compile(model, plan.device.value, mode, tried[-1].cost_seconds)
    return tuple(tried)


def likely_payback(plan: Plan, job: Job, best: Timed, budget: Budget, mode: str) -> Payback:
    """What compiling is likely to cost and to save in the run over so many images, or in as much
    of it as its own budget holds."""
    address = plan.device.value
    known = history.compile_seconds(job.model, address, mode)
    seconds = min(expected_seconds(best, budget.images), budget.run_seconds)
    cost = usual_seconds(mode) if known is None else known
    return payback.likely(address.partition(":")[0], seconds, cost)


def forget_compiled(bench: Bench) -> None:
    """Let go of compiled forms, and of the memory of CUDA graphs, in which gradients lie."""
    for network in bench.copies.values():
        network.zero_grad(set_to_none=True)
    torch.compiler.reset()
    bench.free()


def time_compiled(trial: Trial, way: Way, mode: str) -> CompileTime:
    """Compile the way's network in a mode of `torch.compile` and time its passes."""
    bench, clock = trial.bench, trial.budget.clock
    bench.optimizer(way)  # over the weights, which both forms share
    network = bench.ready(way.memory_format)
    started = clock()
    compiled = compile_model(network, mode, lambda _: None)
    bench.copies[way.memory_format] = compiled
    first = guarded(bench, lambda: bench.train(way))
    cost = clock() - started
    passes = [guarded(bench, lambda: bench.train(way)) for _ in range(COMPILED_PASSES)]
    seconds = [found.seconds for found in passes if not isinstance(found, str)]
    works = isinstance(compiled, CompiledModel) and compiled.is_compiled and seconds
    bench.copies[way.memory_format] = network
    del compiled
    forget_compiled(bench)
    if isinstance(first, str) or not works:
        return CompileTime(mode=mode, cost_seconds=cost, pass_seconds=None)
    return CompileTime(mode=mode, cost_seconds=cost - median(seconds), pass_seconds=median(seconds))
