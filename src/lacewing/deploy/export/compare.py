"""An exported model against the original: same answers, at what size and speed."""

import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from lacewing.deploy.export.exporter import Exporter, Runner
from lacewing.deploy.export.pictures import Pictures
from lacewing.values import format_bytes

BATCH = 16
TIMED, WARM_UP = 20, 3
"""Single images that are timed, and those before them that are not."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came out on the same images; "exported" against "original"."""

    images: int
    origin: str
    agreement: float
    """Share of images with the same best class."""
    largest_difference: float
    """Of any probability of any image."""
    original_accuracy: float | None
    """Top-1; None where the right classes are not known."""
    exported_accuracy: float | None
    original_seconds: float
    """For one image alone, the median."""
    exported_seconds: float
    original_bytes: int
    exported_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compare(
    original: Runner, exported: Runner, pictures: Pictures, sizes: tuple[int, int]
) -> Comparison:
    """Run both on the pictures; `sizes` are the files' bytes, original first."""
    expected = in_batches(original, pictures.squares)
    found = in_batches(exported, pictures.squares)
    return Comparison(
        images=len(pictures.squares),
        origin=pictures.origin,
        agreement=float((expected.argmax(1) == found.argmax(1)).mean()),
        largest_difference=float(np.abs(expected - found).max()),
        original_accuracy=accuracy(expected, pictures.labels),
        exported_accuracy=accuracy(found, pictures.labels),
        original_seconds=seconds_per_image(original, pictures.squares),
        exported_seconds=seconds_per_image(exported, pictures.squares),
        original_bytes=sizes[0],
        exported_bytes=sizes[1],
    )


def in_batches(runner: Runner, squares: np.ndarray) -> np.ndarray:
    """Probabilities float32 [n, classes]; the last batch is smaller, so N must be free."""
    starts = range(0, len(squares), BATCH)
    return np.concatenate([runner(squares[start : start + BATCH]) for start in starts])


def accuracy(probabilities: np.ndarray, labels: np.ndarray | None) -> float | None:
    """Top-1, or None without labels."""
    return None if labels is None else float((probabilities.argmax(1) == labels).mean())


def seconds_per_image(runner: Runner, squares: np.ndarray) -> float:
    """Median time of one image alone."""
    taken = []
    for number in range(WARM_UP + TIMED):
        row = number % len(squares)
        started = time.perf_counter()
        runner(squares[row : row + 1])
        taken.append(time.perf_counter() - started)
    return median(taken[WARM_UP:])


def refusal(comparison: Comparison, exporter: Exporter) -> str | None:
    """Why an export may not be used, a clause; None where it may."""
    difference, limit = comparison.largest_difference, exporter.max_difference
    if limit is not None and not difference <= limit:  # NaN is refused too
        return (
            f"its probabilities differ from the model's by up to {difference:.2g} on "
            f"{comparison.images} {comparison.origin}, and {limit:g} is the limit"
        )
    if comparison.agreement < exporter.min_agreement:
        return (
            f"it names the model's class for only {comparison.agreement:.0%} of "
            f"{comparison.images} {comparison.origin}, and {exporter.min_agreement:.0%} is the "
            "least"
        )
    return None


def comparison_rows(comparison: Comparison) -> list[tuple[str, str, str]]:
    """What, original, exported: for the screen."""
    accuracies = comparison.original_accuracy, comparison.exported_accuracy
    rows = [("same best class", "", f"{comparison.agreement:.1%}"),
            ("largest difference", "", f"{comparison.largest_difference:.1e}")]  # fmt: skip
    if None not in accuracies:
        rows.append(("accuracy", *(f"{value:.1%}" for value in accuracies)))  # type: ignore[arg-type]
    return [
        *rows,
        ("time per image", f"{comparison.original_seconds * 1e3:.1f} ms",
         f"{comparison.exported_seconds * 1e3:.1f} ms"),
        ("file", format_bytes(comparison.original_bytes),
         format_bytes(comparison.exported_bytes)),
    ]  # fmt: skip
