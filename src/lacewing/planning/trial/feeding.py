"""How many threads prepare batches ahead: the real loop, a few steps of it, with each count.

No rule knows this. On a CPU a decoding thread takes a core from the network, and once pixels are
kept there is little left for it to do; on a GPU too few let the device wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lacewing.planning.trial.context import Trial
from lacewing.planning.trial.findings import Fed
from lacewing.planning.trial.passes import guarded
from lacewing.planning.trial.race import WORTH, race
from lacewing.planning.trial.ways import Way

STEPS = 4
"""Of a lap."""
MOST_IMAGES = 256
"""Of a lap, unless a single step has more."""
ROUNDS = 3
LEAST_LAPS = 2
"""Of each count: one to warm up, one that is timed."""
SHARE = 0.3
"""Of the trial's time that laps may be expected to take."""


@dataclass(frozen=True)
class Lap:
    """How much of an epoch is run with each count."""

    batch: int
    images: int


def race_workers(trial: Trial, way: Way, pass_seconds: float | None) -> tuple[Fed, ...]:
    """Seconds per image from the image, decoded or not, to the changed weights, by threads.

    Nothing where the user has chosen, where images come from a server (which laps on decoded ones
    would not show), where there is no other count, too few images for two steps, or too little
    time.
    """
    is_cpu = trial.bench.backend.kind == "cpu"
    counts, lap = counts_to_race(trial.plan.workers.value, is_cpu), lap_of(trial, way)
    is_open = trial.plan.workers.source != "user" and len(counts) > 1 and not trial.job.readers
    if not is_open or lap is None or pass_seconds is None:
        return ()
    expected = LEAST_LAPS * len(counts) * lap.images * pass_seconds / way.images
    if expected > min(SHARE * trial.budget.limit, trial.budget.left):
        return ()
    lanes = race(counts, lambda workers: run_lap(trial, way, lap, workers),
                 trial.budget.until(0.95), ROUNDS)  # fmt: skip
    return tuple(Fed(workers=lane.key, seconds=lane.median, out=lane.out) for lane in lanes)


def counts_to_race(most: int, is_cpu: bool) -> list[int]:
    """None, the rule's number of threads and, of more than two, half of it; the fewest first.

    On a CPU each thread takes a core from the network, so there it is 1, 2, 4 and so on.
    """
    half = {(most + 1) // 2} if most > 2 else set()
    between = {2**power for power in range(most.bit_length())} if is_cpu else half
    return sorted({0, most} | between)


def lap_of(trial: Trial, way: Way) -> Lap | None:
    """Some whole batches; None if there are not two."""
    steps = min(trial.job.training_images // way.images, STEPS, MOST_IMAGES // way.images)
    if trial.job.training_images < 2 * way.images:
        return None
    return Lap(way.images, max(2, steps) * way.images)


def run_lap(trial: Trial, way: Way, lap: Lap, workers: int) -> float | str:
    """Seconds per image of some training steps on images as the loader brings them.

    As in the run nothing waits for the device between the steps: copies go on while it computes.
    """
    bench = trial.bench

    def run() -> float:
        loader = trial.sample.open_loader(lap.images, lap.batch, workers)
        step = bench.stepper(way)
        started = bench.now()
        for batch in loader.epoch(0):
            step(batch.images, batch.labels)
        return (bench.now() - started) / lap.images

    return guarded(bench, run)


def choose(fed: Sequence[Fed]) -> Fed | None:
    """The fastest; fewer threads unless more are faster by more than the noise. None of none."""
    best: Fed | None = None
    for one in fed:
        if one.out or not one.seconds:
            continue
        if best is None or one.seconds < WORTH * (best.seconds or 0.0):
            best = one
    return best
