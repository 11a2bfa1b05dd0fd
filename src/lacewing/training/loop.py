"""The visible loop: plain calls in the order of time."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from lacewing import console
from lacewing.data.loader import Batch
from lacewing.engine.inference import predict_logits
from lacewing.engine.schedules import set_learning_rate
from lacewing.engine.step import StepResult
from lacewing.training.bookkeeping import checkpoint, finish_epoch
from lacewing.training.meter import Clock, Meter
from lacewing.training.recovery import recoverable_step
from lacewing.training.session import Session
from lacewing.training.signals import Stop, stop_on_signals
from lacewing.training.tensorboard import open_writer


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
                if config.save_checkpoints:
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
    clock = Clock(progress)
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
            if clock.checkpoint_due() and session.config.save_checkpoints:
                meter.settle()
                clock.settle()
                checkpoint(session)
            if stop.asked_by:
                break
    session.backend.synchronize(session.device_index)
    meter.settle()
    clock.settle()
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
    row |= validate(session)
    clock.settle()
    return row | {"seconds": time.perf_counter() - started}


def train_batch(session: Session, batch: Batch) -> StepResult:
    """One optimiser step at the learning rate of its place in the schedule."""
    progress = session.progress
    factor = session.schedule.factor(progress.step)
    set_learning_rate(session.optimizer, session.plan.learning_rate.value, factor)
    result = recoverable_step(session, batch)
    progress.step += 1
    progress.step_in_epoch += 1
    return result


def validate(session: Session) -> dict[str, float | None]:
    """Loss and accuracy on the validation split, or None if that is empty."""
    started = time.perf_counter()
    if not session.val_loader.images:
        return {"val_loss": None, "val_accuracy": None, "val_seconds": 0.0}
    logits, labels = predict_logits(
        session.model, session.val_loader, session.backend, session.plan.eval_execution
    )
    return {
        "val_loss": float(torch.nn.functional.cross_entropy(logits, labels)),
        "val_accuracy": float((logits.argmax(1) == labels).float().mean()),
        "val_seconds": time.perf_counter() - started,
    }
