"""What the folds of a cross-validation came to: mean, spread, and all answers together."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from lacewing import console
from lacewing.results.intervals import bootstrap, macro_f1, with_interval
from lacewing.store.run import read_json, write_json
from lacewing.training.folds import FOUND

FIGURES = ("top1", "f1", "loss")
Row = dict[str, Any]


def summarise(folds: Sequence[Row]) -> Row:
    """Mean and standard deviation over the folds, and figures of all their answers together.

    Each image is in one fold, so the confusion matrices add up to one over every image, each
    named by a network that was not trained on it.
    """
    confusion = np.sum([fold["confusion"] for fold in folds], axis=0)
    truth, predicted = np.nonzero(confusion)
    cells = confusion[truth, predicted]
    intervals = bootstrap(confusion)
    return {
        "folds": [{k: v for k, v in fold.items() if k != "confusion"} for fold in folds],
        "mean": {name: fmean(fold[name] for fold in folds) for name in FIGURES},
        "spread": {name: stdev(fold[name] for fold in folds) for name in FIGURES},
        "together": {
            "images": int(confusion.sum()),
            "top1": float(confusion.trace() / confusion.sum()),
            "top1_interval": list(intervals.accuracy),
            "f1": float(macro_f1(cells[None], truth, predicted, len(confusion))[0]),
            "f1_interval": list(intervals.f1),
        },
    }


def write_folds(folder: Path, found: Row) -> None:
    """Write folds.json."""
    write_json(folder / FOUND, found)


def add_test(folder: Path, last: Path) -> None:
    """Add the last run's figures on the test split to folds.json, which ends the whole."""
    tested = read_json(last / "results.json").get("splits", {}).get("test")
    kept = ("images", "top1", "top1_interval", "f1", "f1_interval")
    figures = {name: tested[name] for name in kept} if tested else None
    write_folds(folder, {**read_json(folder / FOUND), "last": last.name, "test": figures})


def show_folds(found: Row) -> None:
    """The folds, on the screen."""
    console.heading("Folds")
    console.table(
        ("fold", "images", "top-1", "macro F1", "loss", "best epoch"),
        [
            (
                row["run"],
                f"{row['images']:,}",
                f"{row['top1']:.1%}",
                f"{row['f1']:.1%}",
                f"{row['loss']:.3f}",
                str(row["best_epoch"]),
            )
            for row in found["folds"]
        ],
    )
    mean, spread, together = found["mean"], found["spread"], found["together"]
    console.pairs(
        (
            ("top-1, mean", f"{mean['top1']:.1%}, standard deviation {100 * spread['top1']:.1f}"),
            ("macro F1, mean", f"{mean['f1']:.1%}, standard deviation {100 * spread['f1']:.1f}"),
            (
                f"all {together['images']:,} images",
                f"top-1 {with_interval(together['top1'], together['top1_interval'])}, "
                f"macro F1 {with_interval(together['f1'], together['f1_interval'])}",
            ),
        )
    )
