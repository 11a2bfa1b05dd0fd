"""What a run folder tells of its past: rows to come, rows taken back, whether it is done."""

import json

from lacewing.config import TrainConfig
from lacewing.store.atomic import write_text
from lacewing.store.run import Run, append_line, read_lines
from lacewing.training.events import EventLog


def append_rows(run: Run, waiting: list[dict[str, object]], events: EventLog) -> None:
    """Append the rows in their order; those that the disk refuses stay in `waiting`."""
    while waiting:
        try:
            append_line(run.metrics, waiting[0])
        except OSError as error:
            events.warn(
                "metrics",
                f"{run.metrics} can't be written ({error.strerror}): the epoch's row is kept and "
                "tried again after the next",
            )
            return
        waiting.pop(0)


def forget_after(run: Run, epoch: int) -> None:
    """Drop the rows of later epochs: they are done again."""
    rows = list(read_lines(run.metrics))
    kept = [row for row in rows if row.get("epoch", 0) <= epoch]
    if len(kept) < len(rows):
        write_text(run.metrics, "".join(json.dumps(row) + "\n" for row in kept))


def is_done(run: Run) -> bool:
    """Whether training came to its end and all that follows was written; the report is last.

    Not so once it is resumed, as a run that --limit-epochs ended may be.
    """
    kinds = (event.get("kind") for event in read_lines(run.events))
    milestones = [kind for kind in kinds if kind in ("resume", "finished")]
    return milestones[-1:] == ["finished"] and run.report.is_file()


def last_epoch(run: Run) -> int:
    """The last epoch that has a row; 0 where none has."""
    return max((row.get("epoch", 0) for row in read_lines(run.metrics)), default=0)


def is_limited(config: TrainConfig, epoch: int) -> bool:
    """Whether --limit-epochs ended a run after so many epochs: a resumed one goes on."""
    return epoch == config.limit_epochs and epoch < config.epochs
