"""The recipe in the order of time: linear, fine-tuning, polish. The classic loop is one too."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lacewing.config import TrainConfig, load_config
from lacewing.errors import TrainingError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS
from lacewing.models.bundle import load_model
from lacewing.store.run import read_json, write_json
from lacewing.training.bookkeeping import deliver
from lacewing.training.folds import Taken
from lacewing.training.history import is_limited
from lacewing.training.loop import Ending
from lacewing.training.loop import train as train_loop
from lacewing.training.rate_finder import search_if_asked
from lacewing.training.recipe.blend import blend
from lacewing.training.recipe.budget import Budget, usual_seconds
from lacewing.training.recipe.closing import (
    closing_seconds,
    has_time_to_mix,
    is_polished,
    measured_closing,
    views_to_try,
)
from lacewing.training.recipe.fallback import keep_pace
from lacewing.training.recipe.finetune import (
    asked_epochs,
    hurry,
    open_finetuning,
    stretch,
    time_to_judge,
)
from lacewing.training.recipe.length import Length
from lacewing.training.recipe.linear import Linear, fit_linear
from lacewing.training.recipe.polish import Polish, polish
from lacewing.training.recipe.size import PASS_SHARE
from lacewing.training.recipe.views import Looked, settle_view
from lacewing.training.session import Session
from lacewing.training.together import goes_on
from lacewing.values import format_seconds

LEAST_SHARE = 0.2
"""Of the budget, for the feature pass at the least: a head that has seen one batch is none."""
GAVE_UP = Ending("fine-tuning could not go on: the best model before is judged", finished=True)


def train(
    session: Session, started: float, backends: BackendTable = BACKENDS
) -> tuple[Session, Ending]:
    """Train as the recipe says; returns the session that holds the model, and how it ended.

    `started` is when the budget began to run, on the clock of `time.perf_counter`.
    """
    seconds, team = session.config.budget or session.progress.allowed_seconds, session.team
    # a resumed run has the seconds that it has not used yet; older checkpoints know only those
    # of training
    used = max(session.progress.spent_seconds, session.progress.elapsed_seconds)
    session.began = started - used
    budget = None if seconds is None else Budget(session.began, seconds)
    if team.first(lambda: given_up(session)):
        ending = GAVE_UP
    elif team.first(lambda: is_over(session)):
        session.deadline = -math.inf  # so the loop ends before its first step
        ending = train_loop(session)
    elif session.config.is_classic:
        ending = train_classic(session, budget)
    elif session.progress.tuning_from is None and session.progress.step == 0:
        linear = team.only_first(lambda: first_stage(session, budget))
        session.progress = team.first(lambda: session.progress)
        if budget is None:
            seconds = team.first(lambda: unasked_seconds(session, linear))
            budget = Budget(session.began, seconds)
            session.progress.allowed_seconds = None if seconds == math.inf else seconds
        session, ending = second_stage(session, linear, budget, backends)
    else:
        resume_clock(session, budget)
        session, ending = tune(session, lambda: session)
    if ending.finished:
        team.only_first(lambda: settle(session, budget))
    return session, ending


def train_classic(session: Session, budget: Budget | None) -> Ending:
    """The loop that the flags describe."""
    if budget:
        session.deadline = classic_deadline(session, budget)
    if session.keeper.good is None:  # a resumed run's plan has the rate that was found
        search_if_asked(session)
    if budget:
        keep_pace(session)
    return train_loop(session)


def settle(session: Session, budget: Budget | None) -> None:
    """The finished model: its weights, its view, its calibration, and what is noted of them.

    A classic training is left as the flags made it, but for a view or an aim that was asked for.
    A run that was cut off in judging has all of it already: twice would be once too often. Raises
    TrainingError where the disk refuses the model.
    """
    if is_settled(session):
        bundle = load_model(session.run.model)
        session.preprocessing, session.mirror = bundle.preprocessing, bundle.mirror
        return
    mix(session, budget)
    looked = settle_view(session, views_to_try(session, budget))
    polished = polish(session) if is_polished(session.config) else None
    deliver(session)  # first: what is noted as settled is on the disk
    if not session.config.is_classic or is_polished(session.config) or looked is not None:
        note_stages(session, looked, polished)


def is_over(session: Session) -> bool:
    """Whether a resumed run has its finished model, of which only the judging was cut off."""
    asked = TrainConfig(**load_config(session.run.config))
    return is_settled(session) and not is_limited(asked, session.progress.epoch)


def is_settled(session: Session) -> bool:
    """Whether the saved model is that of the last step, mixed, viewed and calibrated."""
    run = session.run
    on_disk = session.config.save_model and session.best_weights is None and run.model.is_file()
    if not (on_disk and run.results.is_file()):
        return False
    return read_json(run.results).get("recipe", {}).get("settled") == last_step(session)


def last_step(session: Session) -> int:
    """The one that training ended at: a resumed run has gone back to its checkpoint."""
    return int(given_up(session).get("step", session.progress.step))


def mix(session: Session, budget: Budget | None) -> None:
    """Give a fine-tuned model the mean of weights, and note it at once: it is in the model too."""
    if session.config.is_classic or not session.progress.step or given_up(session):
        return
    free = session.config.wise_ft != "auto" or has_time_to_mix(session, budget)
    mixed = blend(session) if free else None
    note(session, blend=mixed.as_dict() if mixed else {})


def classic_deadline(session: Session, budget: Budget) -> float:
    """When the last step must be done, so that there is time to validate, judge and report."""
    closing = closing_seconds(session, budget)
    warn_of_overrun(session, closing - budget.left())
    return budget.end - closing


def first_stage(session: Session, budget: Budget | None) -> Linear:
    """The head on frozen features, which get some time however long judging takes."""
    if budget is None:
        linear = fit_linear(session, math.inf)
    else:
        closing = closing_seconds(session, budget)
        seconds = (budget.left() - closing) * 2 * PASS_SHARE
        end = time.perf_counter() + max(seconds, LEAST_SHARE * budget.seconds)
        linear = fit_linear(session, end)
        warn_of_overrun(session, closing - budget.left())
    note_features(session, linear)
    return linear


def second_stage(
    session: Session, linear: Linear | None, budget: Budget, backends: BackendTable
) -> tuple[Session, Ending]:
    """Fine-tuning, if the recipe has it and the time is enough."""
    if session.config.recipe == "features":
        return session, Ending("a head on frozen features is fitted", finished=True)
    room = session.team.first(lambda: room_for(session, linear, budget))
    if isinstance(room.length, str):
        return session, Ending(f"a head on frozen features is fitted; {room.length}", finished=True)
    length, deadline = room.length, budget.end - room.closing - room.validation

    def opened() -> Session:
        tuning = open_finetuning(session, length, deadline, backends)
        let_go(session)
        return tuning

    return tune(session, opened)


def let_go(session: Session) -> None:
    """Take the weights of a stage that is over off the device: callers still hold its session."""
    session.model.to("cpu")
    session.average = None


def tune(session: Session, opened: Callable[[], Session]) -> tuple[Session, Ending]:
    """Fine-tune in the session that `opened` gives, to the end or to where it can't go on.

    The best model so far is then the run's. Raises TrainingError where several processes train,
    and where the disk refuses that model.
    """
    try:
        session = opened()
        return session, train_loop(session)
    except TrainingError as error:
        waits_for_disk = session.config.save_model and session.best_weights is not None
        if waits_for_disk or not session.team.alone:
            raise
        give_up(session, str(error).replace(goes_on(session), "begin anew"))
    return session, GAVE_UP


def give_up(session: Session, reason: str) -> None:
    """Say why fine-tuning ends, and note it: a resumed run does not try it again."""
    session.events.warn("gave-up", f"fine-tuning ends with the best model so far. {reason}")
    note(session, given_up={"step": session.progress.step, "reason": reason})


def given_up(session: Session) -> dict[str, Any]:
    """At which step fine-tuning was given up, and why; empty where it was not."""
    known = read_json(session.run.results) if session.run.results.is_file() else {}
    return dict(known.get("recipe", {}).get("given_up", {}))


@dataclass(frozen=True)
class Room:
    """What the budget has left for fine-tuning."""

    length: Length | str
    """Or why there is none, a clause."""
    closing: float
    """Seconds of what comes after all epochs."""
    validation: float
    """Seconds of one validation."""


def room_for(session: Session, linear: Linear | None, budget: Budget) -> Room:
    """Measured by rank 0, which fitted the head, for all processes."""
    assert linear is not None
    closing = closing_seconds(session, budget)
    validation = validation_seconds(session, linear) / session.team.ranks.world
    return Room(stretch(session, validation, budget.left() - closing), closing, validation)


def warn_of_overrun(session: Session, seconds: float) -> None:
    """Say that judging will take longer than the budget has left, if it will."""
    if seconds > 0:
        late = format_seconds(seconds)
        session.events.add("budget", f"judging the model will end about {late} after the budget")


def unasked_seconds(session: Session, linear: Linear | None) -> float:
    """The usual budget, or no end where the epochs were asked for."""
    assert linear is not None
    if asked_epochs(session.config) is not None:
        return math.inf
    return usual_seconds(linear.pass_seconds)


def resume_clock(session: Session, budget: Budget | None) -> None:
    """End a resumed fine-tuning in the time that is left; an epoch that has begun is judged."""
    if budget is None:
        return
    left = session.team.first(lambda: time_to_judge(session, seconds_for_training(session, budget)))
    begun = session.began + (session.progress.tuning_from or 0.0)
    hurry(session, begun, time.perf_counter() + left)


def seconds_for_training(session: Session, budget: Budget) -> float:
    """What is left of a budget before the last validation and what comes after it."""
    closing = measured_closing(session)
    validation = closing.validation / session.team.ranks.world
    return budget.left() - closing.reserved(budget.seconds) - validation


def validation_seconds(session: Session, linear: Linear) -> float:
    """Of one pass over the validation split, by the measured rate of the feature pass."""
    done = linear.views * linear.images + linear.val_images
    return session.val_loader.images * linear.pass_seconds / done


def note_features(session: Session, linear: Linear) -> None:
    """Write what the first stage chose into results.json, at once: a resumed run knows no more."""
    features = {
        "images": linear.images,
        "fitted_images": linear.chosen.images,
        "views": linear.views,
        "size": session.preprocessing.image_size,
        "strength": linear.chosen.strength,
        "tried": [asdict(one) for one in linear.chosen.tried],
        "chosen_on": linear.chosen.chosen_on,
        "pass_seconds": linear.pass_seconds,
    }
    write_json(session.run.results, {"recipe": {"features": features}})


def note_stages(session: Session, looked: Looked | None, polished: Polish | Taken | None) -> None:
    """Add what the last stages chose to results.json, to which the figures are added."""
    found: dict[str, Any] = {"settled": last_step(session)}
    if is_polished(session.config):
        found["optimize"] = session.config.optimize
    if looked is not None:
        found["views"] = looked.as_dict()
    if polished is not None:
        found["polish"] = polished.as_dict()
    note(session, **found)


def note(session: Session, **found: Any) -> None:
    """Add what stages chose to what is known of the recipe in results.json."""
    known = read_json(session.run.results) if session.run.results.is_file() else {}
    write_json(session.run.results, {"recipe": {**known.get("recipe", {}), **found}})
