"""What the average of the weights takes in each step, where one is kept."""

from statistics import median_low

from lacewing.engine.average import Average
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.context import Trial
from lacewing.planning.trial.passes import guarded
from lacewing.planning.trial.ways import Way

UPDATES = 5
"""That are timed, after one that warms up."""


def average_seconds(trial: Trial, way: Way) -> float:
    """Of one update of it; 0 where none is kept or it does not fit the memory."""
    decay = trial.config.ema
    found = guarded(trial.bench, lambda: timed_update(trial.bench, way, decay)) if decay else 0.0
    return 0.0 if isinstance(found, str) else found


def timed_update(bench: Bench, way: Way, decay: float) -> float:
    """Seconds of a typical update of an average of the way's network."""
    bench.configure(way)
    average = Average(bench.copy(way.memory_format), decay)

    def seconds_of(step: int) -> float:
        started = bench.now()
        average.update(step)
        return bench.now() - started

    return median_low([seconds_of(1 + number) for number in range(1 + UPDATES)][1:])
