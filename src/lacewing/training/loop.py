"""The visible loop: plain calls in the order of time."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lacewing import console
from lacewing.data.batch import Batch
from lacewing.engine.average import averaged
from lacewing.engine.prepare import training_mode
from lacewing.engine.schedules import learning_rate_of, set_learning_rate
from lacewing.engine.step import StepResult
from lacewing.errors import TrainingError
from lacewing.hardware.backends import is_exhausted
from lacewing.planning.unfreezing import some_rest
from lacewing.training.adapt import Monitor, adapt, load_alone, no_room_to_load, open_monitor
from lacewing.training.bookkeeping import (
    aimed_at,
    checkpoint,
    checkpoint_at_stop,
    deliver,
    finish_epoch,
)
from lacewing.training.kept_pixels import loaded
from lacewing.training.loggers import open_loggers
from lacewing.training.meter import Clock, Meter, NotFiniteError
from lacewing.training.progress import show_watchers
from lacewing.training.recovery import recoverable_step
from lacewing.training.rollback import TornError, repeat_since_snapshot, roll_back
from lacewing.training.session import Session
from lacewing.training.signals import Stop, StoppedError, stop_on_signals
from lacewing.training.tensorboard import open_writer
from lacewing.training.together import Due, agree, predicted
from lacewing.training.unfreezing import unfreeze
from lacewing.values import counted


@dataclass(frozen=True)
class Ending:
    """How training ended."""

    reason: str
    finished: bool
    """False where it was interrupted and can be resumed."""


def train(session: Session) -> Ending:
    """Train until the last epoch, the early stop, or a signal; keep the best weights on disk.

    Raises TrainingError where training can't go on.
    """
    team = session.team
    session.backend.empty_cache()  # of what came before: the peaks to come are of training
    wanted = session.config.tensorboard and team.leads
    writer = open_writer(session.run.tensorboard) if wanted else None
    loggers = open_loggers(session.run, session.config, session.events, team.leads)
    with stop_on_signals(team.alone) as stop, session.keeper:
        monitor = open_monitor(session)
        while (ending := ended(session, stop)) is None:
            try:
                if session.keeper.good is None:
                    checkpoint(session)
                row = train_epoch(session, stop, monitor)
                finish_epoch(session, row, writer)
                loggers.add(row)
            except StoppedError:
                checkpoint_at_stop(session)
            except NotFiniteError as error:
                roll_back(session, error)
            except TornError as error:
                repeat_since_snapshot(session, error)
        session.train_loader.let_go()  # what comes now looks at other images
        if ending.finished and team.leads:
            deliver(session)
    loggers.close()
    return ending


def ended(session: Session, stop: Stop) -> Ending | None:
    """How training ended, if it has."""
    config, progress = session.config, session.progress
    if progress.epoch >= min(config.epochs, config.limit_epochs or config.epochs):
        return Ending(epochs_in_words(session), finished=True)
    if config.patience and patient_epochs(session) >= config.patience:
        return Ending(f"no gain in {config.patience} epochs", finished=True)
    if stop.asked_by:
        return Ending(f"interrupted by {stop.asked_by}", finished=False)
    late, kept = session.team.most(int(out_of_time(session)), int(has_model(session)))
    if late and kept:
        return Ending(epochs_in_words(session), finished=True)
    return None


def patient_epochs(session: Session) -> int:
    """Epochs without gain, but for those in which some layers had yet to learn."""
    progress = session.progress
    stale = range(progress.epoch - progress.stale_epochs, progress.epoch)
    return sum(not some_rest(session.config, epoch) for epoch in stale)


def epochs_in_words(session: Session) -> str:
    """How many epochs were done, and whether the clock cut the last one."""
    progress, epochs = session.progress, session.config.epochs
    whole, rest = divmod(progress.step, session.train_loader.steps_per_epoch)
    if rest:
        return f"the time is used up after {counted(whole, 'epoch')} and a part of one"
    if out_of_time(session) and whole < epochs:
        return f"the time is used up after {counted(whole, 'epoch')}"
    return f"{progress.epoch} of {epochs} epochs done"


def has_model(session: Session) -> bool:
    """Whether rank 0, which decides, has weights to hand over: one step is always done."""
    kept = session.best_weights is not None or session.run.model.is_file()
    return session.team.leads and kept


def train_epoch(session: Session, stop: Stop, monitor: Monitor) -> dict[str, Any]:
    """Do the epoch's remaining steps, then validate.

    Raises StoppedError if a signal cut it short, with the state of a whole number of steps.
    """
    progress, loader = session.progress, session.train_loader
    clock, meter = Clock(progress, loader), Meter(progress)
    session.backend.reset_peak(session.device_index)
    tell_growth(session, monitor)
    training_mode(session.model, bool(session.config.freeze_norms))
    unfreeze(session, monitor)
    train_steps(session, stop, clock, meter, monitor)
    session.backend.synchronize(session.device_index)
    meter.settle()
    clock.settle()
    stop.check()
    row: dict[str, Any] = {
        "epoch": progress.epoch + 1,
        "step": progress.step,
        "image_size": loader.side(progress.epoch),
        **meter.figures(),
        "learning_rate": learning_rate_of(session.optimizer),
        "images_per_second": progress.step_in_epoch * loader.batch_size / progress.epoch_seconds,
        "train_seconds": progress.epoch_seconds,
        "wait_seconds": progress.epoch_wait_seconds,
    }
    row |= validate(session, stop)
    clock.settle()
    return row | {"seconds": progress.epoch_seconds}


def tell_growth(session: Session, monitor: Monitor) -> None:
    """Say that images are of another side from this epoch on; speeds before are another's."""
    epoch, side = session.progress.epoch, session.train_loader.side
    old, new = side(max(0, epoch - 1)), side(epoch)
    if old == new:
        return
    monitor.forget_speeds()
    if session.team.leads and not session.progress.step_in_epoch:
        session.events.add(
            "image-size",
            f"training images grow from {old} to {new} pixels",
            step=session.progress.step,
            field="image_size",
            old=old,
            new=new,
        )


def train_steps(session: Session, stop: Stop, clock: Clock, meter: Meter, monitor: Monitor) -> None:
    """The epoch's remaining steps, or those until a signal or the deadline.

    Raises TornError in all processes where a step was torn in one.
    """
    progress, loader = session.progress, session.train_loader
    title = f"epoch {progress.epoch + 1}/{session.config.epochs}"
    with (
        console.epoch_progress(title, loader.steps_per_epoch) as show,
        contextlib.suppress(StoppedError),
    ):
        monitor.restart(session)
        for batch in stop.checked(remaining(session, monitor)):
            number = progress.step
            result = train_batch(session, batch, stop)
            wanted = Due(meter.due(), session.keeper.due(), out_of_time(session), result is None)
            due = agree(session.team, stop, wanted)
            if result is None or due.torn:
                clock.settle()  # the run took it, though it was in vain
                raise TornError(number)
            meter.add(result)
            if due.show:
                meter.settle()
                words = meter.describe()
                show(progress.step_in_epoch, words)
                if session.team.leads:
                    show_watchers(session, words)
                adapt(session, monitor)
            if due.save:
                meter.settle()
                clock.settle()
                checkpoint(session)
                monitor.restart(session)
            if due.late:
                break


def remaining(session: Session, monitor: Monitor) -> Iterator[Batch]:
    """The epoch's batches from the next step on, also where the memory runs out in loading them.

    Raises TrainingError where the memory runs out twice in loading the images of one step.
    """
    progress, loader = session.progress, session.train_loader
    full_at = None
    while progress.step_in_epoch < loader.steps_per_epoch:
        try:
            yield from loaded(session, progress.epoch, progress.step_in_epoch)
            continue
        except Exception as error:
            if not is_exhausted(session.backend, error):
                raise
        # outside the except block: the traceback above held the batch's tensors
        if full_at == progress.step:
            raise TrainingError(no_room_to_load(session))
        full_at = progress.step
        load_alone(session, monitor)


def out_of_time(session: Session) -> bool:
    """Whether the run's deadline has passed: then even a part of an epoch is judged and kept."""
    return time.perf_counter() > session.deadline


def train_batch(session: Session, batch: Batch, stop: Stop) -> StepResult | None:
    """One optimiser step at the learning rate of its place in the schedule; None if it was torn."""
    progress = session.progress
    factor = session.schedule.factor(progress.step)
    rate = session.plan.learning_rate.value * progress.rate_factor
    set_learning_rate(session.optimizer, rate, factor)
    result = recoverable_step(session, batch, stop)
    if result is None:
        return None
    progress.step += 1
    progress.step_in_epoch += 1
    if session.average is not None:
        session.average.update(progress.step)
    return result


def validate(session: Session, stop: Stop) -> dict[str, float | None]:
    """Loss and accuracy on the validation split, or None if that is empty.

    Raises StoppedError at a signal.
    """
    started = time.perf_counter()
    if not session.val_loader.images:
        return {"val_loss": None, "val_accuracy": None, "val_seconds": 0.0}
    with averaged(session.model, session.average):
        found = predicted(session, stop)
    figures = session.team.first(
        lambda: figures_of(*found) | aimed_at(session.config, *found) if found else {}
    )
    return {**figures, "val_seconds": time.perf_counter() - started}


def figures_of(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Loss and accuracy of logits float32 [n, classes] for labels int64 [n]."""
    return {
        "val_loss": float(torch.nn.functional.cross_entropy(logits, labels)),
        "val_accuracy": float((logits.argmax(1) == labels).float().mean()),
    }
