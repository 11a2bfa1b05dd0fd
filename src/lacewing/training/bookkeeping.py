"""The end of an epoch: what is judged, written down, saved and shown."""

import gc
from typing import Any

from lacewing import console
from lacewing.models.bundle import save_model
from lacewing.store.atomic import replacing
from lacewing.store.run import append_line
from lacewing.training.checkpoint import save_checkpoint
from lacewing.training.session import Session
from lacewing.training.state import Progress, capture, copied
from lacewing.training.tensorboard import EpochWriter
from lacewing.values import format_bytes, format_seconds


def finish_epoch(session: Session, row: dict[str, Any], writer: EpochWriter | None) -> None:
    """Judge the epoch, write it down, save, clean the memory, show it.

    Without a validation split, the newest weights count as the best.
    """
    progress = session.progress
    validated = row["val_accuracy"] is not None
    session.schedule.observe(row["val_loss"] if validated else row["train_loss"])
    improved = not validated or is_better(row, progress)
    progress.epoch += 1
    progress.start_epoch()
    progress.stale_epochs = 0 if improved else progress.stale_epochs + 1
    if improved:
        progress.best_epoch = progress.epoch
        if validated:
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
        "classes": list(session.index.classes),
        "class_ids": list(session.index.class_ids),
        "dropout": session.config.dropout,
        "preprocessing": session.preprocessing.as_dict(),
        "figures": {
            "epoch": session.progress.best_epoch,
            "val_accuracy": max(session.progress.best_accuracy, 0.0),
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
    validation = (
        ""
        if row["val_accuracy"] is None
        else f"val loss {row['val_loss']:.3f}  val accuracy {row['val_accuracy']:6.1%}  "
    )
    console.say(
        f"epoch {row['epoch']:>3}/{session.config.epochs}  loss {row['train_loss']:.3f}  "
        f"accuracy {row['train_accuracy']:6.1%}  {validation}"
        f"{row['images_per_second']:.0f} images/s{memory}"
        f"  lr {row['learning_rate']:.2g}  {format_seconds(row['seconds'])}"
        + (f", {format_seconds(left * row['seconds'])} left" if left > 0 else "")
        + ("  best" if row["best"] else "")
    )
