"""What a run sees of itself while it trains, and what it may change on the strength of it.

Each watch is told of one window after the other, the steps between two readings of the loss, and
answers with what it wants changed. Nothing here touches the run: `training/adapt.py` does.
"""

from dataclasses import dataclass, field
from statistics import median

WAITED_SHARE = 0.1
"""Of a window: waiting for images longer than this is worth another decoding thread."""
WINDOWS = 3
"""In a row that must say the same: one alone may be another program's moment."""
GAIN = 1.03
"""Times the speed before: what another thread must bring to stay, and halved passes to go on."""
HIDING_SHARE = 0.25
"""Of a window: a device that computes while more than this is waited for hides its steps' time."""
CLIFF = 3.0
"""Times the fastest window's seconds per step: a driver that has begun to swap, not noise."""
TIGHT_SHARE = 0.03
"""Of the memory: with less of it free, the system is about to end a process."""
MOST_REDUCTIONS = 2
"""Of what the run holds, for others' use of the memory: beyond that it does not help."""


@dataclass(frozen=True)
class Window:
    """The steps between two readings of the loss."""

    steps: int
    images: int
    seconds: float
    waited: float
    """Of the seconds: for images."""
    free_share: float | None = None
    """Of the device's memory, 0..1; None where it can't be asked."""

    @property
    def rate(self) -> float:
        """Images per second, waiting included."""
        return self.images / max(self.seconds, 1e-9)

    @property
    def waited_share(self) -> float:
        """Of the seconds, 0..1."""
        return self.waited / max(self.seconds, 1e-9)

    @property
    def step_seconds(self) -> float:
        """Of a step, without waiting."""
        return max(self.seconds - self.waited, 0.0) / max(self.steps, 1)


@dataclass
class LoaderWatch:
    """More decoding threads while that pays: one more, and back if nothing is gained."""

    workers: int
    most: int
    settled: bool = False
    """Whether no further change is tried."""
    least: int = 1
    """So many stay where the memory is tight."""
    recent: list[Window] = field(default_factory=list)
    rate_before: float | None = None
    """Images per second with one thread fewer, while one more is on trial."""

    def see(self, window: Window) -> tuple[int, str] | None:
        """Another number of threads and why; None if all stays."""
        if self.settled:
            return None
        self.recent.append(window)
        if len(self.recent) < WINDOWS:
            return None
        windows, self.recent = self.recent[-WINDOWS:], []
        rate = median(one.rate for one in windows)
        if self.rate_before is not None and rate < GAIN * self.rate_before:
            return self._back(rate)
        self.rate_before = None
        return self._one_more(windows, rate)

    def forget_speeds(self) -> None:
        """Compare with nothing that was seen before; one more thread on trial stays."""
        self.recent, self.rate_before = [], None

    def let_go(self) -> int:
        """Down to the least, for good: each thread holds a batch. The number that is left."""
        self.workers, self.settled = min(self.workers, self.least), True
        return self.workers

    def _back(self, rate: float) -> tuple[int, str]:
        before, self.rate_before, self.settled = self.rate_before, None, True
        self.workers -= 1
        return self.workers, f"one more brought {rate:.0f} images/s after {before:.0f}"

    def _one_more(self, windows: list[Window], rate: float) -> tuple[int, str] | None:
        share = min(one.waited_share for one in windows)
        if share < WAITED_SHARE or self.workers >= self.most:
            return None
        self.rate_before = rate
        self.workers += 1
        return self.workers, f"at least {share:.0%} of the time went into waiting for images"


@dataclass
class CliffWatch:
    """A sudden and lasting fall of speed on a device whose driver swaps instead of failing.

    Passes are halved as long as steps stay beyond the cliff and that helps.
    """

    fastest: float = float("inf")
    """Seconds of a step, before the cliff too."""
    slow: int = 0
    """Windows in a row beyond the cliff."""
    halved_at: float | None = None
    """Seconds of a step at which passes were halved; None once steps are fast again."""
    settled: bool = False
    """Whether halving brought nothing: not the memory, but another program slows the device."""

    def see(self, window: Window) -> str | None:
        """Why the memory must be taken as full; None if it need not."""
        if self.settled or window.waited_share > HIDING_SHARE:
            return None
        seconds = window.step_seconds
        is_slow = seconds > CLIFF * self.fastest
        self.slow = self.slow + 1 if is_slow else 0
        self.fastest = min(self.fastest, seconds) if seconds else self.fastest
        if not is_slow:
            self.halved_at = None
        if self.slow < WINDOWS:
            return None
        if self.halved_at is not None and GAIN * seconds > self.halved_at:
            self.settled = True
            return None
        self.halved(window)
        return (
            f"steps take {seconds / self.fastest:.1f} times as long as they did: "
            "the device's memory has run over into the system's"
        )

    def halved(self, window: Window) -> None:
        """Passes are halved after this window, be it for what another process has seen."""
        self.slow, self.halved_at = 0, window.step_seconds

    def forget_speeds(self) -> None:
        """Compare with no step that was seen before."""
        self.slow, self.fastest, self.halved_at = 0, float("inf"), None


@dataclass
class MemoryWatch:
    """Memory that others fill up while the run goes on."""

    tight: int = 0
    reductions: int = 0

    def see(self, window: Window) -> str | None:
        """Why the run should take less; None if it need not."""
        free = window.free_share
        self.tight = self.tight + 1 if free is not None and free < TIGHT_SHARE else 0
        if self.tight < WINDOWS or self.reductions >= MOST_REDUCTIONS:
            return None
        self.tight = 0
        self.reductions += 1
        return f"only {free:.1%} of the memory is free"
