"""How a run went beside its plan: forecast and outcome, waiting for images, what happened."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from lacewing.results.pieces import Pieces
from lacewing.values import format_bytes, format_seconds

KINDS = {
    "out-of-memory": ("time the memory ran out", "times the memory ran out"),
    "micro-batch": ("time the micro-batch was halved for want of memory",
                    "times the micro-batch was halved for want of memory"),
    "loader": ("change of the decoding threads", "changes of the decoding threads"),
    "moved": ("plan made anew on another machine", "plans made anew on another machine"),
    "rollback": ("return to an earlier step", "returns to an earlier step"),
    "gave-up": ("end of a fine-tuning that could not go on", "ends of fine-tuning"),
    "resume": ("resume", "resumes"),
    "interrupted": ("interruption", "interruptions"),
    "image": ("image that could not be read any more", "images that could not be read any more"),
    "compile": ("note of the compiler", "notes of the compiler"),
    "pixels": ("note on kept pixels", "notes on kept pixels"),
}  # fmt: skip
"""Kinds of events that a reader should know of, in words: one, and several."""

VIEWS = {
    "off": "the central crop",
    "whole": "the whole frame",
    "mirror": "the central crop, mirrored too",
    "both": "the whole frame, mirrored too",
}
"""The words of --tta, spelled out; the central crop is what validation sees during training."""


def best_row(rows: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The epoch whose weights were kept: the last one that was the best so far."""
    return next((row for row in reversed(list(rows)) if row.get("best")), None)


def epochs_done(rows: Iterable[dict[str, Any]]) -> int:
    """Of training: a recipe's first row is of its head on frozen features."""
    return sum(row["epoch"] > 0 for row in rows)


def forecast_rows(pieces: Pieces) -> list[tuple[str, str, str, str]]:
    """What, expected, taken, and their ratio: time and memory of the epochs and of the run."""
    training = pieces.results.get("training", {})
    rows = []
    for what, expected, taken, words in (
        ("Time of the epochs", "forecast_seconds", "epochs_seconds", format_seconds),
        ("Time with the judging", "forecast_run_seconds", "run_seconds", format_seconds),
        ("Largest memory", "forecast_peak_bytes", "peak_bytes", format_bytes),
    ):
        first, second = training.get(expected), training.get(taken)
        if first and second:
            rows.append((what, words(first), words(second), f"{second / first:.2f}"))
    return rows


def waiting(pieces: Pieces) -> str:
    """How long training waited for images; "" where nothing was measured."""
    rows = [row for row in pieces.epochs if row["epoch"] and "wait_seconds" in row]
    seconds = sum(row.get("train_seconds", 0.0) for row in rows)
    if not seconds:
        return ""
    waited = sum(row["wait_seconds"] for row in rows)
    share = waited / seconds
    verdict = "the images keep up" if share < 0.05 else "more --workers or kept pixels may help"
    return f"{format_seconds(waited)} of {format_seconds(seconds)} ({share:.1%}): {verdict}"


def incidents(pieces: Pieces) -> str:
    """The events worth knowing, counted in one line."""
    counts = Counter(event.get("kind") for event in pieces.events)
    said = [
        f"{counts[kind]} {words[counts[kind] > 1]}" for kind, words in KINDS.items() if counts[kind]
    ]
    if said:
        return ", ".join(said)
    return "None: no memory ran out, nothing was adapted or resumed" if pieces.events else ""


def views(pieces: Pieces) -> dict[str, Any]:
    """How the finished model looks at an image, and what each way did; {} where none is told."""
    found = pieces.results.get("recipe", {}).get("views", {})
    if not found:
        return {}
    tried = [{**one, "words": VIEWS[one["view"]], "chosen": one["view"] == found["chosen"]}
             for one in found["tried"]]  # fmt: skip
    mirrored = found["chosen"] in ("mirror", "both")
    return {**found, "words": VIEWS[found["chosen"]], "mirrored": mirrored, "tried": tried}


def blend(pieces: Pieces) -> dict[str, Any]:
    """Which mean of weights the model has, and what each did; {} where none was tried."""
    found = pieces.results.get("recipe", {}).get("blend", {})
    if not found:
        return {}
    tried = [{**one, "chosen": one["share"] == found["chosen"]} for one in found["tried"]]
    return {**found, "tried": tried}


def head_fit(pieces: Pieces) -> dict[str, Any]:
    """The fit of a head on frozen features: its facts, and each strength that was tried."""
    found = pieces.results.get("recipe", {}).get("features", {})
    if not found:
        return {}
    tried = found.get("tried", [])
    best = max((one["accuracy"] for one in tried), default=1.0)
    return {
        **found,
        "ended": ended_early(tried, found.get("chosen_on", "")),
        "tried": [{**one, "chosen": one["strength"] == found["strength"],
                   "share": one["accuracy"] / max(best, 1e-9)} for one in tried],
    }  # fmt: skip


def ended_early(tried: list[dict[str, Any]], chosen_on: str) -> bool:
    """Whether the search ended because the loss rose: over folds it goes on, as time allows."""
    return "folds" not in chosen_on and len(tried) > 1 and tried[-1]["loss"] >= tried[-2]["loss"]
