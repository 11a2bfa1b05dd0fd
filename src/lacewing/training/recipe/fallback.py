"""Classic training that `--recipe auto` falls back on: as long as the budget has time for."""

import math
import time
from dataclasses import replace

from lacewing.config import TrainConfig, load_config
from lacewing.store.run import Run
from lacewing.training.recipe.budget import RESERVE
from lacewing.training.recipe.closing import REPORT_SECONDS
from lacewing.training.recipe.finetune import asked_patience, hurry, time_to_judge
from lacewing.training.session import Session
from lacewing.training.setup import Prepared
from lacewing.values import counted

MOST_EPOCHS = 300
"""From random weights far more help than in fine-tuning; this is what long schedules take."""


def with_epochs_fitted(prepared: Prepared, spent: float) -> Prepared:
    """The epochs that the budget has time for, by the forecast of the trial, this one or that of a
    plan file, and a note on them.

    `spent` is how many seconds of the budget are gone. The clock ends the last epoch, so that no
    time is left over.
    """
    config, measured = prepared.config, prepared.plan.measured
    if config.budget is None or not fell_back(prepared.asked, config):
        return prepared
    if measured is None or "epoch_seconds" not in measured.forecast:
        return with_epochs_unknown(prepared)
    forecast = measured.forecast
    # that of a plan file may be of a run that was judged
    judging = forecast["judge_seconds"] if config.evaluate else 0.0
    left = config.budget * (1 - RESERVE) - spent - REPORT_SECONDS - judging
    first, later = forecast["first_epoch_seconds"], forecast["epoch_seconds"]
    epochs = epochs_in(left, first, later)
    run = min(config.budget, first + (epochs - 1) * later + judging)
    forecast = {
        **forecast, "epochs": float(epochs), "judge_seconds": judging, "run_seconds": run
    }  # fmt: skip
    note = f"{counted(epochs, 'epoch')}: as many as the budget has time for."
    if left < first:
        note = "The budget has no time for a whole epoch: a part of one is trained."
    plan = replace(
        prepared.plan,
        measured=replace(measured, forecast=forecast),
        notes=(*prepared.plan.notes, note),
    )
    fitted = replace(config, epochs=epochs, patience=asked_patience(config))
    return replace(prepared, config=fitted, plan=plan)


def with_epochs_unknown(prepared: Prepared) -> Prepared:
    """Without a forecast, more epochs than there is likely to be time for: the clock ends them, and
    the schedule with them. Images that grow do so by the epoch, so for those the usual ones stay.
    """
    config, plan = prepared.config, prepared.plan
    if config.progressive_resizing:
        return prepared
    note = f"Up to {counted(MOST_EPOCHS, 'epoch')}: until the budget's time is used up."
    fitted = replace(config, epochs=MOST_EPOCHS, patience=asked_patience(config))
    return replace(prepared, config=fitted, plan=replace(plan, notes=(*plan.notes, note)))


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
