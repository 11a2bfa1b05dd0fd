"""What an epoch measures of itself: loss, accuracy, speed, time."""

import math
import time

from lacewing.engine.step import StepResult
from lacewing.errors import TrainingError
from lacewing.training.state import Progress

SHOW_EVERY_SECONDS = 0.5
"""How often the live line is renewed: reading the loss waits for the device."""
CHECKPOINT_EVERY_SECONDS = 60.0
"""Work that a kill may cost."""


class Clock:
    """Counts the run's seconds, over all its sessions, and says when to save."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.settled = time.perf_counter()

    def checkpoint_due(self) -> bool:
        """Whether the work since the last checkpoint is worth one."""
        return time.perf_counter() - self.settled >= CHECKPOINT_EVERY_SECONDS

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

    def add(self, result: StepResult) -> None:
        """Remember a step's result without waiting for the device."""
        self.pending.append(result)
        self.done += result.count

    def due(self) -> bool:
        """Whether the live line is old enough to be renewed."""
        return time.perf_counter() - self.shown >= SHOW_EVERY_SECONDS

    def settle(self) -> None:
        """Add up what is pending. Raises TrainingError for a loss that is not finite."""
        for result in self.pending:
            loss = float(result.loss)
            if not math.isfinite(loss) and not result.scaled:
                raise TrainingError(
                    f"The loss became {loss} before step {self.progress.step}: use a lower "
                    "--learning-rate, or --clip-norm 1."
                )
            if math.isfinite(loss):
                self.progress.loss_sum += loss * result.count
                self.progress.correct += int(result.correct)
                self.progress.images += result.count
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
