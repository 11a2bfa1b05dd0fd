"""What an epoch measures of itself: loss, accuracy, speed, time."""

import math
import time

from lacewing.engine.step import StepResult
from lacewing.training.state import Progress

SHOW_EVERY_SECONDS = 0.5
"""How often the live line is renewed: reading the loss waits for the device."""
MAX_OVERFLOWS = 50
"""Steps in a row that a loss scaler may skip: 16 halvings bring its scale from 65536 to 1."""


class NotFiniteError(Exception):
    """The loss or a weight is NaN or infinite; the text says what and where."""


class Clock:
    """Counts the run's seconds, over all its sessions."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.settled = time.perf_counter()

    def settle(self) -> None:
        """Add the seconds since the last call to the run's."""
        now = time.perf_counter()
        self.progress.elapsed_seconds += now - self.settled
        self.settled = now


class Meter:
    """Sums the epoch's loss on the device, and reads it only now and then."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.pending: list[StepResult] = []
        self.shown = self.started = time.perf_counter()
        self.done = 0
        self.overflows = 0

    def add(self, result: StepResult) -> None:
        """Remember a step's result without waiting for the device."""
        self.pending.append(result)
        self.done += result.count

    def due(self) -> bool:
        """Whether the live line is old enough to be renewed."""
        return time.perf_counter() - self.shown >= SHOW_EVERY_SECONDS

    def settle(self) -> None:
        """Add up what is pending. Raises NotFiniteError for a loss that is not finite.

        A loss scaler makes losses overflow on purpose and skips those steps; only many of them
        in a row count.
        """
        for result in self.pending:
            loss = float(result.loss)
            if math.isfinite(loss):
                self.overflows = 0
                self.progress.loss_sum += loss * result.count
                self.progress.correct += int(result.correct)
                self.progress.images += result.count
                continue
            self.overflows += 1
            if not result.scaled or self.overflows > MAX_OVERFLOWS:
                raise NotFiniteError(f"The loss became {loss} before step {self.progress.step}")
        self.pending.clear()
        self.shown = time.perf_counter()

    def describe(self) -> str:
        """Loss, accuracy and speed so far in the epoch."""
        images = max(1, self.progress.images)
        speed = self.done / max(1e-9, time.perf_counter() - self.started)
        return (
            f"loss {self.progress.loss_sum / images:.3f}  "
            f"accuracy {self.progress.correct / images:.1%}  {speed:.0f} images/s"
        )
