"""The last stage: the best model's head is brought to honest confidence, and saved.

The changes scale and shift the logits, so they are folded into the head, and prediction,
evaluation and export need to know nothing of them.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lacewing.data.folds import ALL
from lacewing.engine.calibration import (
    calibration_error_of,
    choose_tau,
    fit_temperature,
    macro_f1,
    prior_shift,
)
from lacewing.engine.heads import read_head, write_head
from lacewing.engine.inference import loaded_in_halves, predict_logits
from lacewing.errors import ModelError
from lacewing.models.build import linear_head
from lacewing.training.bookkeeping import load_best, save_best
from lacewing.training.folds import Taken, taken_from_folds
from lacewing.training.recipe.views import FREE, losses_at, lowers, validation_images
from lacewing.training.session import Session

LEAST_IMAGES = 50
"""Validation images below which there is nothing to fit: a few right answers would make the
network sure of everything."""


@dataclass(frozen=True)
class Polish:
    """What was changed, and what it did on the validation split."""

    tau: float
    """Strength of the logit adjustment; 0 leaves the logits alone."""
    temperature: float
    calibration_error_before: float
    calibration_error_after: float
    """Fitted on the same images, so a little flattered."""
    loss_before: float
    loss_after: float
    macro_f1_before: float
    macro_f1_after: float

    def as_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)


def polish(session: Session) -> Polish | Taken | None:
    """Calibrate the best model of a session and save it; the last run of folds takes what they
    found. None where there is nothing to go by, which is said if macro F1 was asked for."""
    if not ends_in_one_layer(session):
        leave_alone(session, f"{session.info.name} does not end in one linear layer")
        return None
    images = session.val_loader.images
    if images >= LEAST_IMAGES:
        return fitted(session)
    taken = taken_from_folds(session.run.folder.parent) if session.config.fold == ALL else None
    if taken is None:
        leave_alone(session, f"{images} validation images are too few to fit it to")
        return None
    load_best(session)
    change(session, prior_shift(session.index.counts("train"), taken.tau), taken.temperature)
    return taken


def ends_in_one_layer(session: Session) -> bool:
    """Whether there is a layer that the changes can be folded into."""
    try:
        linear_head(session.model)
    except ModelError:
        return False
    return True


def leave_alone(session: Session, reason: str) -> None:
    """Say that rare classes get no bonus, if it was asked for."""
    if session.config.optimize == "macro-f1":
        session.events.warn("polish", f"--optimize macro-f1 gives rare classes no bonus: {reason}")


def fitted(session: Session) -> Polish:
    """The best model calibrated on the validation images, and saved."""
    load_best(session)
    logits, labels = predict_logits(
        session.finished,
        loaded_in_halves(validation_images(session), session.backend),
        session.backend,
        session.plan.eval_execution,
    )
    tau, shift = adjustment(session, logits, labels)
    adjusted = logits + shift
    temperature = temperature_of(adjusted, labels) if session.config.calibrate else 1.0
    change(session, shift, temperature)
    return judged(logits, adjusted / temperature, labels, tau, temperature)


def temperature_of(logits: Tensor, labels: Tensor) -> float:
    """The one that fits best, where it lowers the loss by more than noise; else 1.

    Where all answers are right it would make the network sure of everything: then 1 too.
    """
    if bool((logits.argmax(1) == labels).all()):
        return 1.0
    found = fit_temperature(logits, labels)
    is_better = lowers(losses_at(1.0, logits, labels), losses_at(found, logits, labels), FREE)
    return found if is_better else 1.0


def change(session: Session, shift: Tensor, temperature: float) -> None:
    """Fold a shift float32 [C] of the logits and a temperature into the head, and save it."""
    layer = linear_head(session.model)
    write_head(layer, read_head(layer).shifted(shift).scaled(1 / temperature))
    save_best(session)


def adjustment(session: Session, logits: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    """Strength and shift float32 [C] of the logit adjustment, 0 unless macro F1 is the aim."""
    counts = session.index.counts("train")
    aim = session.config.optimize
    tau = choose_tau(logits, labels, counts) if aim == "macro-f1" else 0.0
    return tau, prior_shift(counts, tau)


def judged(before: Tensor, after: Tensor, labels: Tensor, tau: float, temperature: float) -> Polish:
    """Both logits' figures."""
    with torch.no_grad():
        return Polish(
            tau=tau,
            temperature=temperature,
            calibration_error_before=calibration_error_of(before, labels),
            calibration_error_after=calibration_error_of(after, labels),
            loss_before=float(cross_entropy(before, labels)),
            loss_after=float(cross_entropy(after, labels)),
            macro_f1_before=macro_f1(before, labels),
            macro_f1_after=macro_f1(after, labels),
        )
