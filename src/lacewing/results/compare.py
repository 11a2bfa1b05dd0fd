"""`lacewing compare`: figures of several runs, and whether their differences are luck."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lacewing.results.contestants import Contestant, match, read_contestant
from lacewing.results.intervals import with_interval
from lacewing.results.paired import Paired, compare_answers, holm
from lacewing.store.atomic import write_text
from lacewing.values import format_seconds

CERTAIN = 0.05
"""An adjusted p value below this counts as a difference."""
COLUMNS = ("run", "network", "pixels", "recipe", "time", "validation", "test top-1", "macro F1")
PAIR_COLUMNS = ("run", "right alone", "top-1", "macro F1", "p", "")


@dataclass(frozen=True)
class Comparison:
    """Runs on the same test images; each but the first is held against the first."""

    images: int
    runs: tuple[dict[str, Any], ...]
    """Plain figures of each run."""
    pairs: tuple[Paired, ...]
    """Of each run but the first."""
    adjusted: tuple[float, ...]
    """Their p values for as many comparisons as there are (Holm)."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        pairs = [
            {**asdict(pair), "p_adjusted": p}
            for pair, p in zip(self.pairs, self.adjusted, strict=True)
        ]
        rows = [
            {**run, "against_first": pair}
            for run, pair in zip(self.runs, (None, *pairs), strict=True)
        ]
        return {"test_images": self.images, "runs": rows}


def compare(folders: Sequence[Path]) -> Comparison:
    """Compare finished runs. Raises RunError, also where their test images differ."""
    contestants = [read_contestant(folder) for folder in folders]
    matched = match(contestants)
    first, *others = matched.answers
    count = len(matched.classes)
    pairs = tuple(compare_answers(matched.labels, first, other, count) for other in others)
    return Comparison(
        images=len(matched.labels),
        runs=tuple(figures_of(one) for one in contestants),
        pairs=pairs,
        adjusted=tuple(holm([pair.p_value for pair in pairs])),
    )


def figures_of(one: Contestant) -> dict[str, Any]:
    """What the table says of a run; None for what its folder does not tell."""
    pieces = one.pieces
    tested, validated = (pieces.results["splits"].get(name) for name in ("test", "val"))
    decisions = pieces.plan.get("decisions", {})
    size = pieces.config.get("eval_size") or decisions.get("image_size", {}).get("value")
    training = pieces.results.get("training", {})
    return {
        "run": str(one.folder),
        "network": pieces.config.get("model"),
        "pixels": size,
        "recipe": pieces.config.get("recipe"),
        "epochs": training.get("epochs"),
        "training_seconds": training.get("seconds"),
        "val_top1": validated["top1"] if validated else None,
        **{f"test_{name}": tested[name] for name in ("top1", "top1_interval", "f1", "f1_interval")},
    }


def run_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Cells for COLUMNS, a row per run."""
    return [
        (
            run["run"],
            said(run["network"]),
            said(run["pixels"]),
            said(run["recipe"]),
            said(run["training_seconds"], format_seconds),
            said(run["val_top1"], lambda share: f"{share:.1%}"),
            with_interval(run["test_top1"], run["test_top1_interval"]),
            with_interval(run["test_f1"], run["test_f1_interval"]),
        )
        for run in comparison.runs
    ]


def pair_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Cells for PAIR_COLUMNS, a row per run but the first."""
    return [
        (
            run["run"],
            f"{pair.only_second} against {pair.only_first}",
            gain(pair.accuracy, pair.accuracy_interval),
            gain(pair.f1, pair.f1_interval),
            f"{p:.3f}" if p >= 0.001 else "<0.001",
            verdict(pair, p),
        )
        for run, pair, p in zip(
            comparison.runs[1:], comparison.pairs, comparison.adjusted, strict=True
        )
    ]


def verdict(pair: Paired, p: float) -> str:
    """What the paired test says of the accuracy."""
    if p >= CERTAIN:
        return "no difference shown"
    return "better" if pair.only_second > pair.only_first else "worse"


def said(value: Any, words: Any = str) -> str:
    """A value in words, or a dash where it is not known."""
    return "-" if value is None else words(value)


def gain(value: float, interval: Sequence[float]) -> str:
    """`0.02, (0.01, 0.03)` -> `"+2.0 points (+1.0 to +3.0)"`."""
    low, high = (f"{100 * end:+.1f}" for end in interval)
    return f"{100 * value:+.1f} points ({low} to {high})"


def write_comparison(comparison: Comparison, file: Path) -> None:
    """Write everything as JSON, or a row per run as CSV, by the file's suffix."""
    as_json = file.suffix.lower() == ".json"
    write_text(file, json_text(comparison) if as_json else csv_text(comparison))


def json_text(comparison: Comparison) -> str:
    """All figures."""
    return json.dumps(comparison.as_dict(), indent=2, ensure_ascii=False) + "\n"


def csv_text(comparison: Comparison) -> str:
    """A row per run; an interval is two columns, and the first run's comparison is empty."""
    rows = [flat(row) for row in comparison.as_dict()["runs"]]
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """One level of names: `against_first_accuracy_low` for what lies deeper."""
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            cells |= {f"{name}_{inner}": cell for inner, cell in flat(value).items()}
        elif isinstance(value, list | tuple):
            stem = name.removesuffix("_interval")
            cells |= {f"{stem}_low": value[0], f"{stem}_high": value[1]}
        elif name != "against_first":
            cells[name] = value
    return cells
