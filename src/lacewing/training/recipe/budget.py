"""The time that a run may take, and how it is shared out."""

import time
from dataclasses import dataclass

LEAST_SECONDS = 180.0
"""Budget where none is given, if the feature pass is short."""
TIMES_THE_PASS = 4.0
"""Budget where none is given, as a multiple of the feature pass."""
RESERVE = 0.01
"""Share of the budget that stays unspent: clocks and forecasts err."""


@dataclass(frozen=True)
class Budget:
    """A number of seconds that began to run at an instant."""

    started: float
    """On the clock of `time.perf_counter`."""
    seconds: float

    @property
    def end(self) -> float:
        """When everything must be done, on the same clock."""
        return self.started + self.seconds * (1 - RESERVE)

    def left(self) -> float:
        """Seconds until then; below 0 once it has passed."""
        return self.end - time.perf_counter()


def usual_seconds(pass_seconds: float) -> float:
    """The budget where none is given, of a feature pass that took so many seconds."""
    return max(LEAST_SECONDS, TIMES_THE_PASS * pass_seconds)
