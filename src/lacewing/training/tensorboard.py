"""TensorBoard event files of a run."""

from pathlib import Path
from typing import Any, Protocol

GROUPS = {
    "train_loss": "loss/train",
    "val_loss": "loss/val",
    "train_accuracy": "accuracy/train",
    "val_accuracy": "accuracy/val",
    "learning_rate": "learning_rate",
    "images_per_second": "speed/images_per_second",
    "wait_seconds": "speed/wait_seconds",
    "peak_bytes": "memory/peak_bytes",
}
"""Fields of an epoch's row by the tag they get."""


class EpochWriter(Protocol):
    """Writes one row of metrics.jsonl."""

    def add(self, row: dict[str, Any]) -> None:
        """Write the row at its epoch."""


class _Writer:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.writer = SummaryWriter(str(folder))

    def add(self, row: dict[str, Any]) -> None:
        for field, tag in GROUPS.items():
            if row.get(field) is not None:
                self.writer.add_scalar(tag, row[field], row["epoch"])
        self.writer.flush()


def open_writer(folder: Path) -> EpochWriter:
    """A writer of event files in `folder`."""
    return _Writer(folder)
