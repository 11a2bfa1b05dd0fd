"""How long the trial may take: a small share of the run that it plans."""

from collections.abc import Callable
from dataclasses import dataclass, field

SHARE = 0.03
"""Of a long run."""
SHORT_SHARE, SHORT_LEAST, SHORT_MOST = 0.15, 5.0, 18.0
"""A run under ten minutes: a larger share of it, within these bounds in seconds."""
MOST = 120.0
"""Seconds, however long the run; but see `left_of_share`."""


def allowance(run_seconds: float) -> float:
    """Seconds that the trial of a run may take."""
    short = min(SHORT_MOST, max(SHORT_LEAST, SHORT_SHARE * run_seconds))
    return min(MOST, max(short, SHARE * run_seconds))


@dataclass
class Budget:
    """What is left of it. The run's length is known better with each pass that is timed.

    By the image: the passes of the trial may be larger or smaller than the run's.
    """

    clock: Callable[[], float]
    images: int
    """That the whole run trains on, one epoch after the other."""
    asked: float | None = None
    """Seconds that the user allows; then the run's length does not matter."""
    run_seconds: float = float("inf")
    """Of the whole run at most, where it has a budget of its own."""
    fastest: float = field(default=float("inf"))
    """Seconds of a training pass, per image."""

    def __post_init__(self) -> None:
        self.started = self.clock()

    def saw(self, image_seconds: float) -> None:
        """Note what a pass took per image."""
        self.fastest = min(self.fastest, image_seconds)

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self.clock() - self.started

    def has_room(self, seconds: float) -> bool:
        """Whether what takes so long is done within it."""
        return seconds <= self.left

    @property
    def limit(self) -> float:
        """Seconds in all."""
        return allowance(self._run) if self.asked is None else self.asked

    def until(self, share: float) -> Callable[[], bool]:
        """Whether less than a share of it is spent, asked anew at each call."""
        return lambda: self.spent < share * self.limit

    @property
    def left(self) -> float:
        """Seconds."""
        return self.limit - self.spent

    @property
    def left_of_share(self) -> float:
        """Seconds of a long run's whole share: for what is tried only where it may save far more.

        That grows with the run, so MOST does not bound it; what the user allows does.
        """
        if self.asked is not None:
            return self.left
        return max(self.limit, SHARE * self._run) - self.spent

    @property
    def _run(self) -> float:
        # without a pass nothing is known: the shortest allowance
        passes = self.images * self.fastest if self.fastest < float("inf") else 0.0
        return min(passes, self.run_seconds)
