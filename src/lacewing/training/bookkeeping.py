"""The end of an epoch: what is judged, written down, saved and shown."""

import gc
import time
from dataclasses import asdict
from typing import Any

import torch
from safetensors import SafetensorError

from lacewing import console
from lacewing.config import TrainConfig
from lacewing.engine.calibration import macro_f1
from lacewing.engine.step import norm_buffers
from lacewing.errors import TrainingError
from lacewing.hardware.backends import is_exhausted
from lacewing.models.bundle import load_model, save_model
from lacewing.planning.trial.memory import snapshot_bytes
from lacewing.planning.unfreezing import some_rest
from lacewing.store.atomic import replacing
from lacewing.training.history import append_rows
from lacewing.training.meter import NotFiniteError, in_words
from lacewing.training.session import Session
from lacewing.training.state import Progress, Snapshot, capture, copied
from lacewing.training.tensorboard import EpochWriter
from lacewing.training.together import goes_on
from lacewing.values import format_bytes, format_seconds

CLEAN_SECONDS = 60.0
"""Of an epoch, after which unused memory is given back: it takes time to be cleared again."""


def finish_epoch(session: Session, row: dict[str, Any], writer: EpochWriter | None) -> None:
    """Judge the epoch, write it down, save, clean the memory, show it.

    Without a validation split, the newest weights count as the best. Raises NotFiniteError for
    weights that are not finite, of which nothing is kept.
    """
    check_finite(session)
    progress = session.progress
    validated = row["val_accuracy"] is not None
    loss = row["val_loss"] if validated else row["train_loss"]
    if loss is not None:
        session.schedule.observe(loss)
    improved = not validated or is_better(row, progress)
    progress.epoch += 1
    progress.start_epoch()
    progress.stale_epochs = 0 if improved else progress.stale_epochs + 1
    if improved:
        progress.best_epoch = progress.epoch
        if validated:
            note_best(row, progress)
    peak = session.backend.peak_bytes(session.device_index)
    row |= {"peak_bytes": peak, "best": improved, "micro_batch": progress.micro_batch}
    tell_events(session)
    if session.team.leads:
        write_epoch(session, row, writer)
    checkpoint(session)
    gc.collect()
    if row["seconds"] >= CLEAN_SECONDS:
        session.backend.empty_cache()
    show_epoch(session, row)


def write_epoch(session: Session, row: dict[str, Any], writer: EpochWriter | None) -> None:
    """The best weights so far, the epoch's row and its curves."""
    if row["best"]:
        save_best(session, session.average.state if session.average else None)
    else:
        write_best(session)
    session.waiting_rows.append(row)
    append_rows(session.run, session.waiting_rows, session.events)
    if writer:
        add_to(writer, row, session)


def tell_events(session: Session) -> None:
    """Bring what only other processes have seen into the run's log."""
    if session.team.alone:
        return
    for rank, events in enumerate(session.team.gather(session.events.held or [])):
        for kind, message in events:
            session.events.add(kind, f"process {rank}: {message}")
    if session.events.held:
        session.events.held.clear()


def add_to(writer: EpochWriter, row: dict[str, Any], session: Session) -> None:
    """Draw the row's curves; a disk that refuses costs the point only."""
    try:
        writer.add(row)
    except OSError as error:
        session.events.warn("tensorboard", f"the curves can't be written ({error.strerror})")


def is_better(row: dict[str, Any], progress: Progress) -> bool:
    """Higher validation accuracy, or macro F1 where the row has it; of equals, the lower loss."""
    aim, best = row["val_accuracy"], progress.best_accuracy
    if "val_macro_f1" in row:
        aim, best = row["val_macro_f1"], progress.best_macro_f1
    return bool((aim, -row["val_loss"]) > (best, -progress.best_loss))


def note_best(row: dict[str, Any], progress: Progress) -> None:
    """Keep a row's validation figures as the best so far."""
    progress.best_accuracy, progress.best_loss = row["val_accuracy"], row["val_loss"]
    progress.best_macro_f1 = row.get("val_macro_f1", progress.best_macro_f1)


def aimed_at(config: TrainConfig, logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Macro F1 on the validation split, for its row, where that is what epochs are chosen by."""
    if config.optimize != "macro-f1":
        return {}
    return {"val_macro_f1": macro_f1(logits, labels)}


def load_best(session: Session) -> None:
    """Put the best weights so far into the session's network."""
    best = session.best_weights
    session.model.load_state_dict(load_model(session.run.model).state if best is None else best)


def save_best(session: Session, state: dict[str, torch.Tensor] | None = None) -> None:
    """Write model.safetensors: the weights, or others, with everything needed to use them.

    Where the disk refuses, or nothing is to be saved, they are kept in memory instead.
    """
    session.best_weights = copied(session.model.state_dict() if state is None else state)
    write_best(session)


def write_best(session: Session) -> None:
    """Bring the best weights from memory into the run folder, if they are not there yet."""
    if session.best_weights is None or not session.config.save_model:
        return
    try:
        with replacing(session.run.model) as temporary:
            save_model(temporary, session.best_weights, bundle_fields(session))
        session.best_weights = None
    except (OSError, SafetensorError) as error:
        session.events.warn(
            "model",
            f"{session.run.model} can't be written ({error}): the best weights are kept in memory "
            "and tried again after the next epoch",
        )


def deliver(session: Session) -> None:
    """Write what the disk has refused so far, at the end of training.

    Raises TrainingError if it still refuses the best weights: a run is not done without them.
    """
    append_rows(session.run, session.waiting_rows, session.events)
    write_best(session)
    if session.config.save_model and session.best_weights is not None:
        raise TrainingError(
            f"{done_so_far(session)}, but the best weights can't be written into "
            f"{session.run.folder}: make room there, then {way_on(session)}."
        )


def done_so_far(session: Session) -> str:
    """What a run has come to, a clause."""
    progress = session.progress
    if not progress.step:
        return "The head is fitted"
    return f"{progress.epoch} of {session.config.epochs} epochs are done"


def way_on(session: Session) -> str:
    """How to go on after the run has ended, a clause; a head alone has no checkpoint."""
    if session.config.save_checkpoints and session.keeper.good is None:
        return f"`lacewing resume {session.run.folder}` begins it anew"
    return goes_on(session)


def bundle_fields(session: Session) -> dict[str, Any]:
    """What stands beside the weights."""
    return {
        "model": session.info.name,
        "classes": list(session.index.classes),
        "class_ids": list(session.index.class_ids),
        "dropout": session.config.dropout,
        "preprocessing": session.preprocessing.as_dict(),
        "mirror": session.mirror,
        "figures": {
            "epoch": session.progress.best_epoch,
            "val_accuracy": max(session.progress.best_accuracy, 0.0),
        },
    }


def checkpoint(session: Session) -> None:
    """Keep where the run stands, and have it written in the background.

    Without memory for a copy the one before stays. Raises NotFiniteError for weights that no run
    can go on from, TrainingError without memory for the first copy.
    """
    started = time.perf_counter()
    check_finite(session)
    session.progress.spent_seconds = started - session.began
    if not session.team.leads:  # which keeps it for all
        session.keeper.good = Snapshot({}, {}, {"progress": asdict(session.progress)})
        return
    snapshot = captured(session)
    if snapshot is None:
        session.keeper.put_off()
    else:
        session.keeper.keep(snapshot, time.perf_counter() - started)


def captured(session: Session) -> Snapshot | None:
    """A snapshot; None, which is said, where there is no memory for it but an older one is there.

    Raises TrainingError where there is none at all.
    """
    try:
        return capture(
            session.model,
            session.optimizer,
            session.scaler,
            session.schedule,
            session.progress,
            session.best_weights,
            session.average,
            session.preprocessing,
        )
    except Exception as error:
        if not is_exhausted(session.backend, error):
            raise
    # outside the except block: the traceback above held what was copied
    gc.collect()
    session.backend.empty_cache()
    need = format_bytes(snapshot_bytes(session.model, session.optimizer))
    lacks = f"there is no memory for a copy of weights and optimiser ({need})"
    if session.keeper.good is None:
        raise TrainingError(
            f"At step {session.progress.step} {lacks}, from which the run could go on: close other "
            "programs, or use a smaller --model or --optimizer sgd."
        )
    session.events.warn(
        "checkpoint",
        f"{lacks} at step {session.progress.step}: the checkpoint of step "
        f"{session.keeper.good.step} stays the newest",
    )
    return None


def checkpoint_at_stop(session: Session) -> None:
    """The same when the run is asked to end, unless its last checkpoint is of this very step.

    Of a run whose weights are not finite the checkpoint before stays the newest.
    """
    session.keeper.wait()
    good = session.keeper.good
    now = session.progress.epoch, session.progress.step
    if good is not None and now == (good.epoch, good.step) and not session.keeper.failing:
        return
    try:
        checkpoint(session)
    except NotFiniteError as error:
        session.events.warn("checkpoint", f"{error}: the checkpoint before stays the newest")


def check_finite(session: Session) -> None:
    """Raise NotFiniteError for a network that no run can go on from; in all processes alike."""
    if not all_finite(session.model):
        raise NotFiniteError(f"The weights are not finite at step {session.progress.step}")


def all_finite(model: torch.nn.Module) -> bool:
    """Whether no weight and no statistic of a norm is NaN or infinite.

    Other buffers may hold infinities on purpose, as masks do.
    """
    statistics = [buffer for module in model.modules() for buffer in norm_buffers(module)]
    with torch.no_grad():
        # the extremes, which a NaN is too: `isfinite` would make copies as large as the weights
        values = (*model.parameters(), *(one for one in statistics if one.is_floating_point()))
        ends = [end for one in values if one.numel() for end in (one.amin(), one.amax())]
        return bool(torch.stack(ends).isfinite().all())


def show_epoch(session: Session, row: dict[str, Any]) -> None:
    """One line per epoch."""
    left = seconds_left(session, row)
    memory = f"  {format_bytes(row['peak_bytes'])}" if row["peak_bytes"] else ""
    validation = (
        ""
        if row["val_accuracy"] is None
        else f"val loss {row['val_loss']:.3f}  val accuracy {row['val_accuracy']:6.1%}  "
    )
    console.say(
        f"epoch {row['epoch']:>3}/{session.config.epochs}  {in_words(row)}  {validation}"
        f"{row['images_per_second']:.0f} images/s{memory}"
        f"  lr {row['learning_rate']:.2g}  {format_seconds(row['seconds'])}"
        + (f", {format_seconds(left)} left" if left > 0 else "")
        + ("  best" if row["best"] else "")
    )


def seconds_left(session: Session, row: dict[str, Any]) -> float:
    """For the epochs that follow, as long as this one or longer by as much as images grow.

    0 where layers rested that have yet to learn, which nobody has timed.
    """
    if some_rest(session.config, row["epoch"] - 1):
        return 0.0
    last = session.config.limit_epochs or session.config.epochs
    growth = [
        (session.train_loader.side(epoch) / row["image_size"]) ** 2
        for epoch in range(row["epoch"], last)
    ]
    return sum(growth) * row["train_seconds"] + len(growth) * (
        row["seconds"] - row["train_seconds"]
    )
