"""Which micro-batch: the smallest whose throughput is within a few percent of the best."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

from lacewing.config import TrainConfig
from lacewing.performance_config import LEAST_BATCH_FOR_BATCHNORM, Tier
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules.batch import even_passes
from lacewing.planning.trial.findings import Timed
from lacewing.planning.trial.ways import Way

CLOSE = 0.97
"""Of the best throughput: what the chosen size must reach."""
MOST = 1024
CLOSE_WHOLE = 0.9
"""The same for the largest pass, where `--accumulate` keeps the batch: one pass is what was asked
for and the best for BatchNorm, so what parts it must be faster by more than noise."""
MOST_PASSES = 4
"""Into which `--accumulate` lets the trial part a batch for speed's sake."""
PASSES = 3
"""That are timed at each size, after one that warms up."""
PATIENCE = 2
"""Doublings without a gain, after which no larger size is tried."""
DEVICE_STEP, STEPS_FROM = 8, 16
"""Images: a GPU computes in tiles of so many, and a part of the last one may be in vain. Passes
below the second are too small to be rounded."""


def open_sizes(plan: Plan, config: TrainConfig, tier: Tier, job: Job) -> tuple[int, ...]:
    """The micro-batches that are open, the smallest first; none where there is no choice.

    A requested batch leaves the tier's range of shares open; `--batch-size auto` leaves all.
    With `--accumulate` the steps keep the requested batch however it is parted, so only the
    memory bounds a pass: even parts of the batch, up to all of it in one.
    """
    if config.batch_size == "auto":
        most = min(MOST, job.training_images)
        doubled = [LEAST_BATCH_FOR_BATCHNORM * 2**power for power in range(9)]
        return tuple(size for size in doubled if size <= most) or (most,)
    if not isinstance(config.batch_size, int):
        return ()
    requested = min(config.batch_size, job.training_images)
    floor = min(LEAST_BATCH_FOR_BATCHNORM, requested)
    step = step_on(plan)
    if config.accumulate:
        parts = (ceil(requested / passes) for passes in range(1, MOST_PASSES + 1))
        even = {even_passes(requested, size)[0] for size in parts if size >= floor}
        if step > 1 and requested % step == 0:
            even = {size for size in even if size < STEPS_FROM or size % step == 0}
        return tuple(sorted(even)) if len(even) > 1 else ()
    # memory already spoke against more than the rules' size
    sizes = sizes_of_shares(requested, tier, step)
    allowed = [size for size in sizes if size <= plan.micro_batch.value]
    return tuple(allowed) if len(allowed) > 1 else ()


def step_on(plan: Plan) -> int:
    """Of what a micro-batch is a multiple, if it can be."""
    return 1 if plan.device.value == "cpu" else DEVICE_STEP


def sizes_of_shares(requested: int, tier: Tier, step: int = 1) -> tuple[int, ...]:
    """The tier's smallest, middle and largest share of a requested batch, the smallest first.

    Each is the nearest multiple of `step`, where that is not outside of the tier's shares.
    """
    low, high = (requested * share for share in tier.batch_share)
    floor = min(LEAST_BATCH_FOR_BATCHNORM, requested)
    sizes = (max(floor, round(size)) for size in (low, (low + high) / 2, high))
    return tuple(sorted({in_steps(size, step, low, high) for size in sizes}))


def in_steps(size: int, step: int, least: float, most: float) -> int:
    """The nearest multiple of `step` within bounds; the size where it is small or there is none."""
    multiples = (size // step * step, ceil(size / step) * step)
    within = [one for one in multiples if least <= one <= most and size >= STEPS_FROM]
    return min(within, key=lambda one: abs(one - size), default=size)


def largest(plan: Plan, config: TrainConfig, tier: Tier, job: Job) -> int:
    """The largest micro-batch that a plan may yet get."""
    return max((plan.micro_batch.value, *open_sizes(plan, config, tier, job)))


def climb(
    way: Way,
    sizes: Sequence[int],
    run: Callable[[Way], float | str],
    has_time: Callable[[], bool],
    most: int,
) -> list[Timed]:
    """Time the way at growing sizes until none is faster per image, memory or time runs out."""
    found: list[Timed] = []
    worse = 0
    for size in sizes:
        if size > most or worse >= PATIENCE or (found and not has_time()):
            break
        found.append(timed(replace(way, images=size), run))
        if found[-1].out:
            break
        worse = worse + 1 if choose(found).way.images < size else 0
    return found


def descend(
    way: Way,
    sizes: Sequence[int],
    run: Callable[[Way], float | str],
    has_time: Callable[[], bool],
    most: int,
) -> list[Timed]:
    """Time the way at sizes from the largest down, as long as there is time."""
    found: list[Timed] = []
    for size in sorted(sizes, reverse=True):
        if size <= most and (not found or has_time()):
            found.append(timed(replace(way, images=size), run))
    return found


def timed(way: Way, run: Callable[[Way], float | str]) -> Timed:
    """The median of a few passes after one that warms up."""
    results = [run(way) for _ in range(PASSES + 1)][1:]
    seconds = [result for result in results if not isinstance(result, str)]
    if len(seconds) < len(results):
        return Timed(way=way, out=str(results[-1]))
    return Timed(way=way, seconds=sorted(seconds)[len(seconds) // 2])


def choose_largest(found: Sequence[Timed]) -> Timed:
    """The largest size whose throughput is not clearly below the best."""
    best = max(one.rate or 0.0 for one in found)
    close = [one for one in found if (one.rate or 0.0) >= CLOSE_WHOLE * best]
    return max(close, key=lambda one: one.way.images)


def choose(found: Sequence[Timed]) -> Timed:
    """The smallest size whose throughput is close to the best."""
    rates = [one.rate or 0.0 for one in found]
    close = [one for one, rate in zip(found, rates, strict=True) if rate >= CLOSE * max(rates)]
    return min(close, key=lambda one: one.way.images)
