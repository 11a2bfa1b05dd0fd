"""How a run ended."""

from dataclasses import dataclass
from pathlib import Path

from lacewing import console
from lacewing.results.evaluate import Judged
from lacewing.store.run import Run, read_json
from lacewing.training.session import Session


@dataclass(frozen=True)
class TrainedRun:
    """Where a run lies and how it ended."""

    folder: Path
    finished: bool
    """False where it was interrupted: `lacewing resume` goes on."""
    reason: str
    accuracy: float | None
    """Top-1 on the test split, 0 to 1; None where it was not judged."""


def interrupted(session: Session, reason: str) -> TrainedRun:
    """Say how a run that was asked to end can be resumed."""
    folder = session.run.folder
    session.events.record("interrupted", reason)
    hint = f": `lacewing resume {folder}` goes on" if session.config.save_checkpoints else ""
    console.warn(f"{reason}{hint}.")
    return TrainedRun(folder, False, reason, None)


def already_done(folder: Path) -> TrainedRun:
    """What `--resume auto` says where nothing is left to do."""
    console.say(f"{folder} is finished: nothing is left to do.")
    tested = read_json(Run(folder).results).get("splits", {}).get("test", {})
    return TrainedRun(folder, True, "finished before", tested.get("top1"))


def accuracy_of(judged: Judged | None) -> float | None:
    """Top-1, if there is any."""
    return None if judged is None else judged.figures.top1
