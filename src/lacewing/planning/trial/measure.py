"""The trial: time the ways that the rules left open, check their results, weigh the memory."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from lacewing.config import TrainConfig
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS, backend_for
from lacewing.hardware.machine import Machine
from lacewing.performance_config import Tier
from lacewing.planning.job import Job
from lacewing.planning.make import total_steps
from lacewing.planning.plan import Plan
from lacewing.planning.trial import sizes, ways
from lacewing.planning.trial.averaging import average_seconds
from lacewing.planning.trial.bench import left_as_it_was
from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.compiling import likely_payback, passes_seconds, try_compile
from lacewing.planning.trial.context import Trial, TrialError
from lacewing.planning.trial.feeding import race_workers
from lacewing.planning.trial.findings import Findings, Timed, of_lanes
from lacewing.planning.trial.fitting import within_memory
from lacewing.planning.trial.history import compile_seconds
from lacewing.planning.trial.images import (
    FORWARD_TO_STEP,
    PassSizes,
    images_that_fit,
    passes_in_time,
    time_image,
    wanted_images,
)
from lacewing.planning.trial.memory import base_bytes
from lacewing.planning.trial.passes import FULL, forward_pass, training_pass
from lacewing.planning.trial.payback import usable
from lacewing.planning.trial.race import ROUNDS, WORTH, WORTH_OF_DETAILS, Lane, race, winner
from lacewing.planning.trial.stage import Work, set_up
from lacewing.planning.trial.unraced import only_weighed
from lacewing.planning.trial.verify import sized_plan, verified
from lacewing.planning.trial.ways import Way, planned
from lacewing.planning.trial.weigh import snapshot_of, try_sizes, weigh_memory

ENDLESS = 2**50
"""Bytes: more than any memory."""
ENOUGH = 0.5
"""Of the time that a trial may take, for which a remembered one stands."""
MORE_MEMORY = 1.25
"""Times the memory that cut a trial short, up to which it stands: what is free changes hourly."""
FEW_ROUNDS = 3
TRAINING_SHARE, DETAILS_SHARE, FORWARD_SHARE = 0.4, 0.2, 0.2
"""Of the trial's time, for the races of training, of its details and of forward-only passes."""


def measure(
    plan: Plan,
    config: TrainConfig,
    machine: Machine,
    job: Job,
    tier: Tier,
    work: Work,
    backends: BackendTable = BACKENDS,
    clock: Callable[[], float] = time.perf_counter,
    processes: int = 1,
) -> Findings:
    """What is fastest, and what it takes. Leaves no trace in generators and switches.

    Raises TrialError where not one pass could be timed, PlanError where the network does not fit.
    """
    backend, number = backend_for(plan.device.value, backends)
    with left_as_it_was(backend, number):
        backend.limit_memory(number, 1.0)  # an earlier run of this process has left its own cap
        budget = budget_of(plan, config, job, clock, processes)
        base = base_bytes(backend, number)

        def found() -> Findings:
            bench, sample = set_up(plan, config, work, backend, number, clock)
            trial = Trial(
                plan=plan,
                config=config,
                machine=machine,
                job=job,
                tier=tier,
                bench=bench,
                sample=sample,
                budget=budget,
                base_bytes=base,
            )
            return carry_out(trial)

        # what a pass lacks is met within: here a copy of the network did not fit
        findings = within_memory(found, work.info, plan, config.optimizer, backends)
    backend.empty_cache()
    return findings


def budget_of(
    plan: Plan, config: TrainConfig, job: Job, clock: Callable[[], float], processes: int
) -> Budget:
    """What the trial of a plan may take, from now on: a share of what one of the processes does."""
    images = total_steps(config, plan.batch.value, job) * plan.batch.value // processes
    return Budget(clock, images, config.plan_budget, config.budget or float("inf"))


def is_enough(
    findings: Findings,
    plan: Plan,
    config: TrainConfig,
    machine: Machine,
    job: Job,
    compile_modes: Sequence[str],
    processes: int = 1,
) -> bool:
    """Whether they were made in at least half of the time that would be allowed now.

    Not where they had none for compiling in a mode that is open, and now there is; the same of
    memory.
    """
    if has_more_memory(findings, plan.memory_bytes.value):
        return False
    budget = budget_of(plan, config, job, time.perf_counter, processes)
    budget.saw(findings.fastest_seconds)
    if has_time_to_compile(findings, plan, machine, job.model, budget, compile_modes):
        return False
    return findings.allowed_seconds >= ENOUGH * budget.limit


def has_more_memory(findings: Findings, allowed: int | None) -> bool:
    """Whether it was the memory that cut them short, and now there is clearly more."""
    then = findings.cut_at_bytes
    return then is not None and (allowed is None or allowed > MORE_MEMORY * then)


def has_time_to_compile(
    findings: Findings,
    plan: Plan,
    machine: Machine,
    model: str,
    budget: Budget,
    modes: Sequence[str],
) -> bool:
    """Whether a mode was not tried, and would be after a trial that takes as long as theirs."""
    if findings.best.seconds is None:
        return False
    tried = {one.mode for one in findings.compile_tried}
    untried = [mode for mode in usable(modes, findings.accumulation) if mode not in tried]
    best = findings.best
    likely = [likely_payback(plan, machine, model, best, budget, mode) for mode in untried]
    left = budget.left_of_share - findings.seconds - passes_seconds(best, plan)
    return any(one.worth_trying and one.cost_seconds <= left for one in likely)


def carry_out(trial: Trial) -> Findings:
    """The parts in their order."""
    fitting = images_that_fit(trial)
    if not fitting:
        return only_weighed(trial)
    image_seconds = time_image(trial, fitting)
    training, passes = race_training(trial, fitting, image_seconds)
    details = race_details(trial, best_of(training), passes)
    best = as_timed(best_of(details, WORTH_OF_DETAILS) if details else best_of(training))
    forward = race_forward(trial, best.way, fitting, image_seconds)
    trial.bench.keep_only(best.way)
    model, is_measured = weigh_memory(trial, best, best_of(forward).key)
    allowed = trial.plan.memory_bytes.value
    most = model.largest(ENDLESS if allowed is None else allowed)
    tried = tuple(try_sizes(trial, best, most))
    timed, looked = of_lanes(with_details(training, details)), of_lanes(forward)
    is_short = fitting < wanted_images(trial) or is_cut(trial, (*timed, *looked, *tried), most)
    findings = Findings(
        best=best,
        training=timed,
        best_forward=as_timed(best_of(forward)),
        forward=looked,
        plain_seconds=plain_seconds(forward),
        sizes=tried,
        memory=model,
        memory_measured=is_measured,
        average_seconds=average_seconds(trial, best.way),
        snapshot_bytes=snapshot_of(trial, best.way, model),
        base_bytes=trial.base_bytes,
        varied=trial.sample.varied,
        augment_seconds=trial.sample.augment_seconds,
        prepare_seconds=trial.sample.prepare_seconds,
        decode_seconds=trial.sample.decode_seconds,
        cut_at_bytes=(allowed or 0) if is_short else None,
    )
    findings = replace(findings, memory=verified(trial, findings, model))
    fed = race_workers(trial, best.way, best.seconds)
    left = trial.budget.left_of_share
    plan = sized_plan(trial, findings) or trial.plan
    compiled = try_compile(trial, plan, best)
    return replace(
        findings,
        fed=fed,
        accumulation=plan.accumulation.value,
        compile_tried=compiled,
        compile_left_seconds=left,
        compile_cost_seconds=known_costs(trial),
        fastest_seconds=trial.budget.fastest,
        seconds=trial.budget.spent,
        allowed_seconds=trial.budget.limit,
    )


def known_costs(trial: Trial) -> dict[str, float]:
    """What compiling took in an earlier run, by mode."""
    plan, machine, model = trial.plan, trial.machine, trial.job.model
    modes = {*trial.bench.backend.capabilities.compile_modes, plan.compile.value} - {"off"}
    known = {mode: compile_seconds(plan, machine, model, mode) for mode in modes}
    return {mode: seconds for mode, seconds in known.items() if seconds is not None}


def is_cut(trial: Trial, tried: Sequence[Timed], most: int) -> bool:
    """Whether a way is out for want of memory, or sizes that are open are above its `most`."""
    largest = sizes.largest(trial.plan, trial.config, trial.tier, trial.job)
    return largest > most or any(one.out == FULL for one in tried)


def race_training(
    trial: Trial, fitting: int, image_seconds: float
) -> tuple[list[Lane[Way]], PassSizes]:
    """Precision and memory format of training, and the passes in which they were timed."""
    capabilities = trial.bench.backend.capabilities
    found = ways.training_ways(trial.plan, trial.config, trial.device, capabilities)
    passes = passes_in_time(trial, fitting, len(found), image_seconds, TRAINING_SHARE)
    keys = [replace(way, images=passes.timed) for way in found]
    run, until = training_pass(trial, passes.first), trial.budget.until(TRAINING_SHARE)
    return race_ways(trial, keys, run, until, planned(trial.plan), ROUNDS), passes


def race_ways(
    trial: Trial,
    keys: list[Way],
    run: Callable[[Way], float | str],
    has_time: Callable[[], bool],
    likely: Way,
    rounds: int,
) -> list[Lane[Way]]:
    """A race of precisions and formats, of which `likely` is the one that the rules would take.

    A GPU's first pass is mostly the search for algorithms, which may take a second: it tells
    nothing of the way, and with little time only the likely ways are begun.
    """
    if trial.bench.backend.kind == "cpu":
        return race(keys, run, has_time, rounds)
    order = ways.nearest_first(keys, likely)
    return race(keys, run, has_time, rounds, warm_ups=order)


def race_details(trial: Trial, best: Lane[Way], passes: PassSizes) -> list[Lane[Way]]:
    """The optimiser's kernel and the threads, for the way that has won so far.

    They change little: none are timed where that would take more than its share.
    """
    way, each = best.key, (best.median or 0.0) / best.key.images
    kernels = ways.kernel_ways(way, trial.job, trial.device, trial.bench.backend.capabilities)
    threads = ways.thread_ways(way, trial.config, trial.device, trial.machine)
    others = [*kernels[1:], *threads[1:]]
    expected = (1 + len(others)) * passes.least * each
    has_time = trial.budget.until(0.5)() and expected <= DETAILS_SHARE * trial.budget.limit
    if not others or not has_time:
        return []
    # the winner runs again beside them: its first times are from another moment
    run = training_pass(trial, passes.first)
    return race([way, *others], run, trial.budget.until(0.6), FEW_ROUNDS)


def race_forward(trial: Trial, trained: Way, fitting: int, image_seconds: float) -> list[Lane[Way]]:
    """Precision and memory format of forward-only passes, which are a small part of a run.

    They have up to twice the images that fit in training: nothing is kept for gradients.
    """
    capabilities = trial.bench.backend.capabilities
    found = ways.forward_ways(trial.plan, trial.config, trial.device, capabilities)
    usual = min(trial.plan.eval_batch.value, 2 * fitting)
    each = FORWARD_TO_STEP * image_seconds
    passes = passes_in_time(trial, usual, len(found), each, FORWARD_SHARE)
    keys = [replace(way, threads=trained.threads, images=passes.timed) for way in found]
    run, until = forward_pass(trial, trained, passes.first), trial.budget.until(0.7)
    return race_ways(trial, keys, run, until, trained, FEW_ROUNDS)


def best_of(lanes: list[Lane[Way]], worth: float = WORTH) -> Lane[Way]:
    """The fastest. Raises TrialError if all are out."""
    best = winner(lanes, worth)
    if best is None:
        raise TrialError(lanes[0].out or "no pass was timed")
    return best


def with_details(training: list[Lane[Way]], details: list[Lane[Way]]) -> list[Lane[Way]]:
    """All lanes; of the winner, which ran in both races, the later one."""
    again = {lane.key for lane in details}
    return [*(lane for lane in training if lane.key not in again), *details]


def as_timed(lane: Lane[Way]) -> Timed:
    """A way with its median."""
    return Timed(way=lane.key, seconds=lane.median, out=lane.out)


def plain_seconds(forward: list[Lane[Way]]) -> float:
    """Per image of a forward-only pass in full precision, as the final judging runs it.

    In the fastest's memory format where that was tried, else in another; where none was, of the
    fastest.
    """
    best = best_of(forward)
    plain = [lane for lane in forward if lane.key.precision == "fp32" and lane.median]
    plain.sort(key=lambda lane: lane.key.memory_format != best.key.memory_format)
    lane = plain[0] if plain else best
    return (lane.median or 0.0) / lane.key.images
