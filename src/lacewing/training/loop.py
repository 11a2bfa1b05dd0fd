"""The visible loop: plain calls in the order of time."""

import gc
import math
import time
from dataclasses import dataclass
from typing import Any

import torch

from lacewing import console
from lacewing.data.loader import Batch
from lacewing.engine.schedules import set_learning_rate
from lacewing.errors import TrainingError
from lacewing.models.bundle import save_model
from lacewing.store.atomic import replacing
from lacewing.store.run import append_line
from lacewing.training.checkpoint import save_checkpoint
from lacewing.training.evaluate import predict_logits
from lacewing.training.recovery import recoverable_step
from lacewing.training.session import Session
from lacewing.training.signals import Stop, stop_on_signals
from lacewing.training.state import Progress, capture, copied
from lacewing.training.tensorboard import EpochWriter, open_writer
from lacewing.values import format_bytes, format_seconds

SHOW_EVERY_SECONDS = 0.5
"""How often the live line is renewed: reading the loss waits for the device."""


@dataclass(frozen=True)
class Ending:
    """How training ended."""

    reason: str
    finished: bool
    """False where it was interrupted and can be resumed."""


def train(session: Session) -> Ending:
    """Train until the last epoch, the early stop, or a signal; keep the best weights on disk."""
    config, progress = session.config, session.progress
    last_epoch = min(config.epochs, config.limit_epochs or config.epochs)
    writer = open_writer(session.run.tensorboard) if config.tensorboard else None
    with stop_on_signals() as stop:
        while progress.epoch < last_epoch:
            if config.patience and progress.stale_epochs >= config.patience:
                return Ending(f"no gain in {config.patience} epochs", finished=True)
            row = train_epoch(session, stop)
            if row is None:
                checkpoint(session)
                return Ending(f"interrupted by {stop.asked_by}", finished=False)
            finish_epoch(session, row, writer)
            if stop.asked_by and progress.epoch < last_epoch:
                return Ending(f"interrupted by {stop.asked_by}", finished=False)
    return Ending(f"{progress.epoch} of {config.epochs} epochs done", finished=True)


def train_epoch(session: Session, stop: Stop) -> dict[str, Any] | None:
    """Do the epoch's remaining steps, then validate; None if a signal cut it short."""
    progress, loader = session.progress, session.train_loader
    started, waited = time.perf_counter(), loader.wait_seconds
    first_step = progress.step_in_epoch
    session.backend.reset_peak(session.device_index)
    session.model.train()
    meter = Meter(progress)
    title = f"epoch {progress.epoch + 1}/{session.config.epochs}"
    with console.epoch_progress(title, loader.steps_per_epoch) as show:
        for batch in loader.epoch(progress.epoch, start_step=first_step):
            meter.add(train_batch(session, batch))
            if meter.due():
                meter.settle()
                show(progress.step_in_epoch, meter.describe())
            if stop.asked_by:
                break
    session.backend.synchronize(session.device_index)
    meter.settle()
    progress.elapsed_seconds += time.perf_counter() - started
    if progress.step_in_epoch < loader.steps_per_epoch:
        return None
    seconds = time.perf_counter() - started
    images = (progress.step_in_epoch - first_step) * loader.batch_size
    row = {
        "epoch": progress.epoch + 1,
        "step": progress.step,
        "train_loss": progress.loss_sum / max(1, progress.images),
        "train_accuracy": progress.correct / max(1, progress.images),
        "learning_rate": session.optimizer.param_groups[0]["lr"],
        "images_per_second": images / seconds,
        "train_seconds": seconds,
        "wait_seconds": loader.wait_seconds - waited,
    }
    return row | validate(session) | {"seconds": time.perf_counter() - started}


def train_batch(session: Session, batch: Batch) -> Any:
    """One optimiser step at the learning rate of its place in the schedule."""
    progress = session.progress
    factor = session.schedule.factor(progress.step)
    set_learning_rate(session.optimizer, session.plan.learning_rate.value, factor)
    result = recoverable_step(session, batch)
    progress.step += 1
    progress.step_in_epoch += 1
    return result


class Meter:
    """Sums the epoch's loss on the device, and reads it only now and then."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.pending: list[Any] = []
        self.shown = self.started = time.perf_counter()
        self.done = 0

    def add(self, result: Any) -> None:
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


def validate(session: Session) -> dict[str, float]:
    """Loss and accuracy on the validation split."""
    started = time.perf_counter()
    logits, labels = predict_logits(
        session.forward,
        session.val_loader,
        lambda: session.backend.autocast(session.plan.precision.value),
    )
    return {
        "val_loss": float(torch.nn.functional.cross_entropy(logits, labels)),
        "val_accuracy": float((logits.argmax(1) == labels).float().mean()),
        "val_seconds": time.perf_counter() - started,
    }


def finish_epoch(session: Session, row: dict[str, Any], writer: EpochWriter | None) -> None:
    """Judge the epoch, write it down, save, clean the memory, show it."""
    progress = session.progress
    session.schedule.observe(row["val_loss"])
    improved = is_better(row, progress)
    progress.epoch += 1
    progress.start_epoch()
    progress.stale_epochs = 0 if improved else progress.stale_epochs + 1
    if improved:
        progress.best_epoch = progress.epoch
        progress.best_accuracy, progress.best_loss = row["val_accuracy"], row["val_loss"]
        save_best(session)
    peak = session.backend.peak_bytes(session.device_index)
    row |= {"peak_bytes": peak, "best": improved, "micro_batch": progress.micro_batch}
    append_line(session.run.metrics, row)
    if writer:
        writer.add(row)
    if session.config.save_checkpoints:
        checkpoint(session)
    gc.collect()
    session.backend.empty_cache()
    show_epoch(session, row)


def is_better(row: dict[str, Any], progress: Progress) -> bool:
    """Higher validation accuracy; of two equal ones, the lower loss."""
    return (row["val_accuracy"], -row["val_loss"]) > (progress.best_accuracy, -progress.best_loss)


def save_best(session: Session) -> None:
    """Write model.safetensors: the weights with everything needed to use them."""
    if not session.config.save_model:
        session.best_weights = copied(session.model.state_dict())
        return
    with replacing(session.run.model) as temporary:
        save_model(temporary, session.model.state_dict(), bundle_fields(session))


def bundle_fields(session: Session) -> dict[str, Any]:
    """What stands beside the weights."""
    return {
        "model": session.info.name,
        "classes": list(session.classes),
        "class_ids": list(session.class_ids),
        "dropout": session.config.dropout,
        "preprocessing": session.preprocessing.as_dict(),
        "figures": {
            "epoch": session.progress.best_epoch,
            "val_accuracy": session.progress.best_accuracy,
            "val_loss": session.progress.best_loss,
        },
    }


def checkpoint(session: Session) -> None:
    """Save where the run stands; a disk that refuses is said and does not end the run."""
    snapshot = capture(
        session.model, session.optimizer, session.scaler, session.schedule, session.progress
    )
    try:
        save_checkpoint(session.run, snapshot, session.progress.step)
    except OSError as error:
        session.events.add("checkpoint", f"the checkpoint could not be written: {error}")


def show_epoch(session: Session, row: dict[str, Any]) -> None:
    """One line per epoch."""
    left = (session.config.limit_epochs or session.config.epochs) - row["epoch"]
    memory = f"  {format_bytes(row['peak_bytes'])}" if row["peak_bytes"] else ""
    console.say(
        f"epoch {row['epoch']:>3}/{session.config.epochs}  loss {row['train_loss']:.3f}  "
        f"accuracy {row['train_accuracy']:6.1%}  val loss {row['val_loss']:.3f}  "
        f"val accuracy {row['val_accuracy']:6.1%}  {row['images_per_second']:.0f} images/s{memory}"
        f"  lr {row['learning_rate']:.2g}  {format_seconds(row['seconds'])}"
        + (f", {format_seconds(left * row['seconds'])} left" if left > 0 else "")
        + ("  best" if row["best"] else "")
    )
