"""Classic training that `--recipe auto` falls back on: as long as the budget has time for."""

import math
import time
from dataclasses import replace

from lacewing.config import TrainConfig, load_config
from lacewing.store.run import Run
from lacewing.training.rate_finder import search_seconds
from lacewing.training.recipe.budget import RESERVE
from lacewing.training.recipe.closing import REPORT_SECONDS
from lacewing.training.recipe.finetune import asked_patience, hurry, time_to_judge
from lacewing.training.session import Session
from lacewing.training.setup import Prepared
from lacewing.values import counted

MOST_EPOCHS = 300
"""From random weights far more help than in fine-tuning; this is what long schedules take."""


def with_epochs_open(prepared: Prepared) -> Prepared:
    """More epochs than the budget is likely to have time for: its clock ends them, and the schedule
    with them. Images grow and layers begin to learn by the epoch, so for those the usual ones stay.
    """
    config = prepared.config
    by_epoch = config.progressive_resizing or config.gradual_unfreezing
    if config.budget is None or by_epoch or not fell_back(prepared.asked, config):
        return prepared
    opened = replace(config, epochs=MOST_EPOCHS, patience=asked_patience(config))
    return replace(prepared, config=opened)


def with_epochs_fitted(prepared: Prepared, spent: float) -> Prepared:
    """The epochs that the budget has time for, by the trial's forecast, and a note on them.

    `spent` is how many seconds of the budget are gone. The clock ends the last epoch, so that no
    time is left over. Nothing that a plan file forecasts is obeyed.
    """
    config, measured = prepared.config, prepared.plan.measured
    if config.budget is None or not fell_back(prepared.asked, config):
        return prepared
    if config.plan is not None or measured is None or "epoch_seconds" not in measured.forecast:
        note = f"Up to {counted(config.epochs, 'epoch')}: until the budget's time is used up."
        return with_note(prepared, note)
    forecast = measured.forecast
    left = config.budget * (1 - RESERVE) - spent - REPORT_SECONDS - forecast["judge_seconds"]
    first, later = forecast["first_epoch_seconds"], forecast["epoch_seconds"]
    steps = math.ceil(len(prepared.index.split("train")) / prepared.plan.batch.value)
    left -= search_seconds(config, later / max(1, steps), left)
    epochs = epochs_in(left, first, later)
    run = min(config.budget, first + (epochs - 1) * later + forecast["judge_seconds"])
    measured = replace(measured, forecast={**forecast, "epochs": float(epochs), "run_seconds": run})
    note = f"{counted(epochs, 'epoch')}: as many as the budget has time for."
    if left < first:
        note = "The budget has no time for a whole epoch: a part of one is trained."
    fitted = replace(config, epochs=epochs, patience=asked_patience(config))
    plan = replace(prepared.plan, measured=measured)
    return with_note(replace(prepared, config=fitted, plan=plan), note)


def with_note(prepared: Prepared, note: str) -> Prepared:
    """One more note under the plan."""
    plan = prepared.plan
    return replace(prepared, plan=replace(plan, notes=(*plan.notes, note)))


def epochs_in(seconds: float, first: float, later: float) -> int:
    """How many epochs begin within so many seconds; one at the least."""
    more = max(0.0, seconds - first) / max(later, 1e-9)
    return min(MOST_EPOCHS, 1 + math.ceil(more))


def fell_back(asked: TrainConfig, decided: TrainConfig) -> bool:
    """Whether the recipe was to be chosen, and there is none for this network."""
    return asked.recipe == "auto" and decided.recipe == "classic"


def keep_pace(session: Session) -> None:
    """Let the schedule of such a training keep up with the clock, up to the session's deadline.

    What was asked for stands in the run folder, so that a resumed run does the same.
    """
    if session.team.first(lambda: asked_recipe(session.run)) != "auto":
        return
    now = time.perf_counter()
    if session.progress.tuning_from is None:
        session.progress.tuning_from = now - session.began
    begun = session.began + session.progress.tuning_from
    left = session.team.first(lambda: time_to_judge(session, session.deadline - now))
    hurry(session, begun, now + left)


def asked_recipe(run: Run) -> str | None:
    """The recipe that a run was asked for; None where that is not known."""
    return load_config(run.asked).get("recipe") if run.asked.is_file() else None
