"""What follows from a run's figures: a bound for doubt in the model's file, and word elsewhere."""

from collections.abc import Mapping

from lacewing.engine.calibration import none_below
from lacewing.models.bundle import add_to_model
from lacewing.results.evaluate import Judged, record
from lacewing.store.run import Run, read_lines
from lacewing.training.folds import none_below_of_folds
from lacewing.training.loggers import open_loggers
from lacewing.training.session import Session

LOGGED = ("top1", "top3", "top5", "loss", "f1", "calibration_error")
"""Figures of a split that --log sends."""


def log_figures(session: Session, judged: Mapping[str, Judged]) -> None:
    """Send the final figures where --log says, and the row of a head on frozen features."""
    loggers = open_loggers(session.run, session.config, session.events)
    for row in read_lines(session.run.metrics):
        if row.get("epoch") == 0:
            loggers.add(row)
    loggers.close(
        {
            f"{split}/{name}": float(getattr(one.figures, name))
            for split, one in judged.items()
            for name in LOGGED
        }
    )


def note_doubt(run: Run, judged: Judged) -> None:
    """Write down when an answer is better called none of the classes: beside the weights too."""
    chances, labels = judged.probabilities, judged.index.column("label")
    write_doubt(run, none_below(chances.max(axis=1), chances.argmax(axis=1) == labels))


def take_doubt(run: Run) -> None:
    """The same for the last run of folds, which has no images to tell it by: as the folds did."""
    write_doubt(run, none_below_of_folds(run.folder.parent))


def write_doubt(run: Run, threshold: float | None) -> None:
    """Write down the confidence below which an answer is none of the classes, if it is known."""
    record(run, {"none_below": threshold})
    if threshold is not None and run.model.is_file():
        add_to_model(run.model, {"none_below": threshold})
