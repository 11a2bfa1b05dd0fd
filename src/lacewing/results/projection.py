"""What a run on all images would take, by what a run on a sample of them took."""

from collections.abc import Iterable, Mapping
from typing import Any


def project(
    rows: Iterable[Mapping[str, Any]],
    judge_seconds: Mapping[str, float],
    times: Mapping[str, float],
) -> dict[str, float]:
    """Seconds of the same stages and epochs, and of the judging, with all images.

    `rows` are those of metrics.jsonl, `judge_seconds` what each split took to be judged, and
    `times` how many times as many images each sampled split has. Everything but the test split,
    which is never sampled, grows with its images.
    """
    training = 0.0
    for row in rows:
        validating = row.get("val_seconds", 0.0)
        rest = row.get("seconds", 0.0) - validating
        training += rest * times["train"] + validating * times["val"]
    judging = sum(seconds * times.get(split, 1.0) for split, seconds in judge_seconds.items())
    return {"training_seconds": training, "judging_seconds": judging}


def project_forecast(forecast: Mapping[str, float], times: Mapping[str, float]) -> float | None:
    """Seconds of the run on all images, by the trial's forecast of the run on a sample."""
    if "run_seconds" not in forecast:
        return None
    judging = forecast.get("judge_seconds", 0.0)
    return (forecast["run_seconds"] - judging) * times["train"] + judging
