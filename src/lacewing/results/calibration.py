"""What the report says of confidence: the reliability diagram's geometry and its sentences."""

from dataclasses import dataclass

from lacewing.data.folds import ALL
from lacewing.results.pieces import Pieces, Table
from lacewing.results.tables import Row

SIDE = 300
"""Of the diagram's square of confidence and accuracy."""
LEFT, TOP, BOTTOM = 44, 10, 40
"""Margins around it, in the same units."""
BIGGEST = 11.0
"""Radius of the dot of the bin with the most images."""


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One bin of confidence, at its place in the diagram."""

    x: float
    y: float
    radius: float
    """Its area grows with the bin's images."""
    foot: float
    """y of the diagonal at x, where perfect calibration would be."""
    words: str


def dots(figures: Table) -> list[Dot]:
    """The bins of a reliability diagram; [] for figures of a version without them."""
    bins = figures.get("reliability", [])
    most = max((one["images"] for one in bins), default=1)
    return [
        Dot(
            x=round(LEFT + SIDE * one["confidence"], 1),
            y=round(TOP + SIDE * (1 - one["accuracy"]), 1),
            radius=round(max(2.5, BIGGEST * (one["images"] / most) ** 0.5), 1),
            foot=round(TOP + SIDE * (1 - one["confidence"]), 1),
            words=f"{one['images']:,} answers: {one['confidence']:.0%} sure, "
            f"{one['accuracy']:.0%} right",
        )
        for one in bins
    ]


def sentences(pieces: Pieces, answers: list[Row]) -> list[str]:
    """What is to be known of the confidence, in the order of weight.

    `answers` are the rows of predictions.csv.
    """
    error = pieces.figures.get("calibration_error")
    found = [f"On average confidence and accuracy differ by {error:.1%}."] if error else []
    calibrated = pieces.config.get("calibrate", True)
    polish = calibrated and pieces.results.get("recipe", {}).get("polish")
    if polish and "folds" in polish:  # the last run of a cross-validation
        found.append(
            f"Calibration divided the scores by {polish['temperature']:.2f}, the middle one of "
            f"what {polish['folds']} folds were calibrated with."
        )
    elif polish and polish["temperature"] == 1:
        found.append(
            "Calibration left the scores as they are: on the validation images no other "
            "temperature was better by more than chance may be."
        )
    elif polish:
        found.append(
            f"Calibration divided the scores by {polish['temperature']:.2f}; on the validation "
            f"images, which it was fitted to, that moved the mean gap from "
            f"{polish['calibration_error_before']:.1%} to {polish['calibration_error_after']:.1%}."
        )
    by = "95% of the right answers on the validation images reach it"
    if pieces.config.get("fold") == ALL:
        by = "the middle one of the bounds that 95% of the right answers in a fold reach"
    return [*found, *_of_doubt(pieces.results.get("none_below"), by, answers)]


def _of_doubt(none_below: float | None, by: str, answers: list[Row]) -> list[str]:
    if none_below is None:
        return []
    rule = f"Below a confidence of {none_below:.0%} an answer is called “none of these”: {by}."
    low = [row for row in answers if float(row["confidence"]) < none_below]
    if not answers or not low:
        return [rule]
    wrong = sum(row["correct"] == "false" for row in low)
    return [
        f"{rule} On the test images {len(low):,} of {len(answers):,} answers lie below, "
        f"{wrong / len(low):.0%} of them wrong."
    ]
