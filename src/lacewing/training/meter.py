"""What an epoch measures of itself: loss, accuracy, speed, time."""

import math
import time
from collections.abc import Mapping
from typing import Any

from lacewing.data.train_loader import TrainLoader
from lacewing.engine.step import StepResult
from lacewing.training.state import Progress

SHOW_EVERY_SECONDS = 0.5
"""How often the live line is renewed: reading the loss waits for the device."""
MAX_OVERFLOWS = 50
"""Steps in a row that a loss scaler may skip: 16 halvings bring its scale from 65536 to 1."""


class NotFiniteError(Exception):
    """The loss or a weight is NaN or infinite; the text says what and where."""


class Clock:
    """Counts the seconds of a run and of its running epoch, over all its sessions."""

    def __init__(self, progress: Progress, loader: TrainLoader) -> None:
        self.progress, self.loader = progress, loader
        self.settled, self.waited = time.perf_counter(), loader.wait_seconds

    def settle(self) -> None:
        """Add the seconds since the last call, and those that the loader was waited for."""
        progress, now, waited = self.progress, time.perf_counter(), self.loader.wait_seconds
        progress.elapsed_seconds += now - self.settled
        progress.epoch_seconds += now - self.settled
        progress.epoch_wait_seconds += waited - self.waited
        self.settled, self.waited = now, waited


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
        """Add up what is pending. Raises NotFiniteError for a loss that is not finite.

        Where fp16 overflows in a forward pass, the loss scaler skips the update: only many such
        steps in a row count, over epochs and sessions. `recoverable_step` leaves nothing of them
        in the statistics of norms.
        """
        progress = self.progress
        for result in self.pending:
            loss = float(result.loss)
            if math.isfinite(loss):
                progress.overflows = 0
                progress.loss_sum += loss * result.count
                progress.correct += int(result.correct)
                progress.images += result.count
                continue
            progress.overflows += 1
            if not result.scaled or progress.overflows > MAX_OVERFLOWS:
                raise NotFiniteError(f"The loss became {loss} before step {progress.step}")
        self.pending.clear()
        self.shown = time.perf_counter()

    def figures(self) -> dict[str, float | None]:
        """Mean loss and accuracy so far in the epoch; None where every step overflowed."""
        progress, images = self.progress, self.progress.images
        return {
            "train_loss": progress.loss_sum / images if images else None,
            "train_accuracy": progress.correct / images if images else None,
        }

    def describe(self) -> str:
        """Loss, accuracy and speed so far in the epoch."""
        speed = self.done / max(1e-9, time.perf_counter() - self.started)
        return f"{in_words(self.figures())}  {speed:.0f} images/s"


def in_words(figures: Mapping[str, Any]) -> str:
    """`"loss 0.532  accuracy  81.0%"`, of an epoch's training."""
    if figures["train_loss"] is None:
        return "no finite loss"
    return f"loss {figures['train_loss']:.3f}  accuracy {figures['train_accuracy']:6.1%}"
