"""A run as it stands now, from its folder alone: what `lacewing watch` shows."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from lacewing.errors import RunError
from lacewing.results.answer import title
from lacewing.results.course import best_row, epochs_done
from lacewing.results.pieces import Pieces, Table, read_pieces
from lacewing.store.run import Run, read_json, refuse_folds
from lacewing.values import format_seconds

STATES = ("waiting", "running", "finished", "interrupted", "died")
ENDED = frozenset(("finished", "interrupted", "died"))
MILESTONES = ("start", "resume", "finished", "interrupted")
"""Kinds of events that tell the state."""
BLOCKS = "▁▂▃▄▅▆▇█"
BAR = 30
"""Characters of the bar of an epoch."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A run at one look."""

    state: str
    """One of STATES; died: no process trains any more, and it did not end."""
    title: str
    asked: int | None
    """Epochs that were asked for."""
    epochs: list[Table]
    events: list[Table]
    now: Table
    """progress.json of the epoch that is being done; empty between epochs."""
    top1: float | None
    """On the split that answers for the run, once it is judged."""

    def as_dict(self) -> Table:
        """Plain values for JSON."""
        last = self.epochs[-1] if self.epochs else None
        return {**vars(self), "epochs": len(self.epochs), "last": last, "events": len(self.events)}


def look(run: Run) -> Watched:
    """What the folder tells now; a folder that is not there yet is waited for.

    Raises RunError for one that holds the runs of several folds.
    """
    refuse_folds(run.folder)
    pieces = read_pieces(run)
    state = state_of(pieces) if run.config.is_file() else "waiting"
    return Watched(
        state=state,
        title=title(pieces),
        asked=pieces.config.get("epochs"),
        epochs=pieces.epochs,
        events=pieces.events,
        now=now_of(run, pieces) if state == "running" else {},
        top1=pieces.figures.get("top1"),
    )


def state_of(pieces: Pieces) -> str:
    """By the last milestone in the event log, and whether its process still lives."""
    last = next((one for one in reversed(pieces.events) if one.get("kind") in MILESTONES), {})
    if last.get("kind") in ENDED:
        return str(last["kind"])
    return "died" if is_gone(last) else "running"


def is_gone(event: Table) -> bool:
    """Whether the process that wrote an event has ended; of another host's nothing is known."""
    number = event.get("process")
    if number is None or event.get("host") != socket.gethostname():
        return False
    try:
        began = psutil.Process(number).create_time()
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:  # of another user, and alive
        return False
    # its number may have been given to a later one
    return began > datetime.fromisoformat(event["time"]).timestamp() + 1


def now_of(run: Run, pieces: Pieces) -> Table:
    """The running epoch's steps, unless they are of one that is in metrics.jsonl already."""
    try:
        now = read_json(run.progress)
    except RunError:
        return {}
    done = pieces.epochs[-1]["epoch"] if pieces.epochs else 0
    return now if isinstance(now, dict) and now.get("epoch", 0) > done else {}


def head_lines(watched: Watched) -> list[str]:
    """What changes from look to look: state, the running epoch, the course of accuracy."""
    lines = [f"{watched.title}: {watched.state}{_count(watched)}"]
    if watched.now:
        lines.append(step_line(watched.now))
    course = [row["val_accuracy"] for row in watched.epochs if row.get("val_accuracy") is not None]
    best = best_row(watched.epochs)
    if len(course) > 1 and best:
        lines.append(f"validation accuracy {spark(course)}  best {best['val_accuracy']:.1%}, "
                     f"epoch {best['epoch']}")  # fmt: skip
    if watched.top1 is not None:
        lines.append(f"judged: {watched.top1:.1%} right")
    return lines


def _count(watched: Watched) -> str:
    done = epochs_done(watched.epochs)
    return f", {done} of {watched.asked} epochs done" if watched.asked and done else ""


def step_line(now: Table) -> str:
    """The bar of a running epoch, with what its steps say."""
    share = now["step"] / max(1, now["steps"])
    bar = "━" * round(BAR * share) + "╌" * (BAR - round(BAR * share))
    return f"epoch {now['epoch']}  {bar}  {now['step']}/{now['steps']}  {now['words']}"


def spark(values: Sequence[float]) -> str:
    """`[0.1, 0.5, 0.9]` -> `▁▅█`: the last 40 values between their least and largest."""
    shown = values[-40:]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(BLOCKS[round((value - low) / span * (len(BLOCKS) - 1))] for value in shown)


def log_lines(watched: Watched) -> list[str]:
    """What stays as it is: a line per epoch, and one per event."""
    return [epoch_line(row) for row in watched.epochs] + [event_line(one) for one in watched.events]


def epoch_line(row: Table) -> str:
    """One row of metrics.jsonl."""
    name = f"epoch {row['epoch']:>3}" if row["epoch"] else "head     "
    parts = [
        name,
        *(_figure(row, key, words) for key, words in (
            ("train_loss", "loss"), ("train_accuracy", "accuracy"),
            ("val_loss", "val loss"), ("val_accuracy", "val accuracy"))),
        f"{row['images_per_second']:.0f} images/s" if row.get("images_per_second") else "",
        format_seconds(row["seconds"]) if row.get("seconds") else "",
        "best" if row.get("best") else "",
    ]  # fmt: skip
    return "  ".join(part for part in parts if part)


def _figure(row: Table, key: str, words: str) -> str:
    value: Any = row.get(key)
    if value is None:
        return ""
    return f"{words} {value:6.1%}" if key.endswith("accuracy") else f"{words} {value:.3f}"


def event_line(event: Table) -> str:
    """One line of events.jsonl, with its time of day (UTC)."""
    time = str(event.get("time", ""))[11:19]
    return f"{time}  {event.get('kind', '')}: {event.get('message', '')}"
