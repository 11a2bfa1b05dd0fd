"""predictions.csv, and the rows of the report's tables."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lacewing.planning.decisions import DECISIONS
from lacewing.planning.document import show
from lacewing.store.atomic import replacing

COLUMNS = ("path", "true", "predicted", "confidence", "correct", "top5")
Row = dict[str, Any]


def write_predictions(
    path: Path,
    paths: Sequence[str],
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> None:
    """Write predictions.csv, a row per image in the given order.

    `labels` is int64 [n], `probabilities` float32 [n, C]. `correct` is true or false, `top5`
    the names of the five most probable classes, the first one first, separated by " | ".
    """
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, label, row, best in zip(paths, labels, probabilities, ranked, strict=True):
            correct = "true" if best[0] == label else "false"
            top = " | ".join(classes[position] for position in best)
            confidence = f"{row[best[0]]:.6f}"
            writer.writerow([name, classes[label], classes[best[0]], confidence, correct, top])


def read_predictions(path: Path) -> list[Row]:
    """The rows of predictions.csv; [] without it."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def mistakes(answers: list[Row], limit: int) -> list[Row]:
    """The rows of predictions.csv that are wrong, the most confident first."""
    wrong = [row for row in answers if row.get("correct") == "false"]
    wrong.sort(key=lambda row: -float(row["confidence"]))
    return wrong[:limit]


def confused_pairs(confusion: np.ndarray, classes: Sequence[str], limit: int) -> list[Row]:
    """The most frequent confusions of a matrix int64 [C, C], each with its way back."""
    support = confusion.sum(axis=1)
    wrong = confusion - np.diag(confusion.diagonal())
    frequent = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    return [
        {
            "true": classes[row],
            "taken_for": classes[column],
            "images": int(wrong[row, column]),
            "share": float(wrong[row, column] / support[row]),
            "way_back": int(wrong[column, row]),
        }
        for row, column in (divmod(int(cell), len(classes)) for cell in frequent)
        if wrong[row, column]
    ]


def class_rows(figures: Row, dataset: Row) -> list[Row]:
    """A row per class, the weakest recall first, those without an image in the split last."""
    confusion = np.array(figures["confusion"])
    wrong = confusion - np.diag(confusion.diagonal())
    names = [one["name"] for one in figures["classes"]]
    known = dataset.get("classes", [])
    training = [one.get("train") for one in known] if len(known) == len(names) else []
    rows = [
        {
            **one,
            "training": training[label] if training else None,
            "taken_for": names[wrong[label].argmax()] if wrong[label].any() else "",
        }
        for label, one in enumerate(figures["classes"])
    ]
    return sorted(rows, key=lambda row: (not row["support"], row["recall"], row["name"]))


def plan_table(plan: Row) -> list[Row]:
    """Decision, value, why, source, and flags that change it, of a plan.yaml, in its order."""
    return [
        {
            "name": name.replace("_", " "),
            "value": show(name, entry.get("value")),
            "why": entry.get("reason", ""),
            "source": entry.get("source", ""),
            "evidence": ", ".join(_evidence(entry.get("evidence") or {})),
            # a plan of an older version may have other decisions
            "flags": DECISIONS[name].flags if name in DECISIONS else "",
        }
        for name, entry in plan.get("decisions", {}).items()
    ]


def tuned_table(plan: Row, tuning: Row) -> list[Row]:
    """What a recipe's fine-tuning decided otherwise."""
    before = plan_table(plan)
    return [row for row in plan_table(tuning) if row not in before]


def _evidence(figures: Row) -> Iterator[str]:
    for name, value in figures.items():
        # Figures have their unit in their name, which `show` reads.
        yield f"{name.removesuffix('_bytes').replace('_', ' ')}: {show(name, value)}"
