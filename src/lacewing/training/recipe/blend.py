"""After fine-tuning: the best mean of the weights before and after it.

On the line between them lies a network that is often better than both, and better on images
unlike those trained on (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903). It costs a few
validations, and predictions take no longer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lacewing import console
from lacewing.data.eval_loader import EvalLoader
from lacewing.engine.calibration import macro_f1
from lacewing.engine.inference import loaded_in_halves, predict_logits
from lacewing.store.atomic import replacing
from lacewing.training.bookkeeping import load_best, save_best
from lacewing.training.recipe.views import (
    LEAST_IMAGES,
    MOST_IMAGES,
    calibrated_losses,
    images_to_compare,
    validation_images,
)
from lacewing.training.session import Session
from lacewing.training.state import copied

SHARES = (0.75, 0.5)
"""Of the fine-tuned weights in the mean: the loss is flat around its lowest, which lay there."""
State = dict[str, Tensor]


@dataclass(frozen=True)
class Mean:
    """What one mean did on validation images."""

    share: float | None
    """Of the fine-tuned weights; None for those of the best epoch as they are."""
    loss: float
    """Mean cross-entropy, at the temperature that fits best."""
    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class Blend:
    """The chosen weights, and what they were chosen by."""

    chosen: float | None
    """Share of the fine-tuned weights; None where the best epoch's stay."""
    images: int
    """Validation images that it was chosen on; 0 where it was asked for."""
    tried: tuple[Mean, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def keep_start(session: Session) -> None:
    """Keep the weights that fine-tuning starts from; beside the checkpoints too, to resume by."""
    if not (wanted(session) and session.team.leads):
        return
    session.start_weights = copied(session.model.state_dict())
    if not session.config.save_checkpoints:
        return
    state = {name: value.contiguous().cpu() for name, value in session.start_weights.items()}
    try:
        with replacing(session.run.start) as temporary:
            save_file(state, temporary)
    except (OSError, SafetensorError) as error:
        sentence = f"{session.run.start} can't be written ({error}): a resumed run will not mix"
        session.events.warn("blend", f"{sentence} its weights with those before fine-tuning")


def start_of(session: Session) -> State | None:
    """Those weights; None where they were not kept."""
    if session.start_weights is not None or not session.run.start.is_file():
        return session.start_weights
    try:
        # a copy: what is read is mapped from the file
        return copied(load_file(session.run.start))
    except (OSError, SafetensorError) as error:
        session.events.warn("blend", f"{session.run.start} can't be read ({error})")
        return None


def wanted(session: Session) -> bool:
    """Whether there can be a mean: it was not refused, and there is something to choose it by."""
    share = session.config.wise_ft
    return share != 1 and (share != "auto" or session.val_loader.images >= LEAST_IMAGES)


def blend(session: Session) -> Blend | None:
    """Give a finished fine-tuning the best weights on the line, and save them as the model.

    A share that was asked for is taken as it is. Returns None where there was no fine-tuning, or
    are too few validation images to choose by.
    """
    start = start_of(session) if wanted(session) and session.progress.step else None
    if start is None:
        return None
    average = session.average
    tuned = copied(session.model.state_dict() if average is None else average.state)
    asked = session.config.wise_ft
    if not isinstance(asked, str):
        session.model.load_state_dict(mean_of(start, tuned, asked))
        save_best(session)
        found = Blend(asked, 0, ())
        console.say(sentence(found))
        return found
    load_best(session)
    best = copied(session.model.state_dict())
    images = images_to_judge(session)
    states: dict[float | None, State] = {share: mean_of(start, tuned, share) for share in SHARES}
    states[None] = best
    tried = tuple(judged(session, images, state, share) for share, state in states.items())
    chosen = best_of(tried, session.config.optimize).share
    session.model.load_state_dict(states[chosen])
    if chosen is not None:
        save_best(session)
    found = Blend(chosen, images.images, tried[::-1])
    console.say(sentence(found))
    return found


def best_of(tried: Sequence[Mean], aim: str) -> Mean:
    """The one with the lowest loss, or with the highest macro F1 where that is the aim."""
    if aim == "macro-f1":
        return max(tried, key=lambda one: (one.macro_f1, -one.loss))
    return min(tried, key=lambda one: one.loss)


@torch.no_grad()
def mean_of(start: State, tuned: State, share: float) -> State:
    """The weighted mean of two states; what is no floating-point number is the tuned one's."""
    return {
        name: torch.lerp(start[name].to(value), value, share)
        if value.is_floating_point()
        else value
        for name, value in tuned.items()
    }


def judged(session: Session, images: EvalLoader, state: State, share: float | None) -> Mean:
    """Weights on validation images, in the session's network."""
    session.model.load_state_dict(state)
    logits, labels = predict_logits(
        session.model,
        loaded_in_halves(images, session.backend),
        session.backend,
        session.plan.eval_execution,
    )
    accuracy = float((logits.argmax(1) == labels).float().mean())
    loss = float(calibrated_losses(logits, labels).mean())
    return Mean(share, loss, accuracy, macro_f1(logits, labels))


def images_to_judge(session: Session) -> EvalLoader:
    """All, whose pixels may be decoded already; of very many a part, which is decoded once."""
    if session.val_loader.images <= MOST_IMAGES:
        return validation_images(session)
    return images_to_compare(session, whole=False, passes=1, keep="ram")


def sentence(found: Blend) -> str:
    """One line for the screen."""
    if not found.tried:
        return f"weights: {found.chosen:g} of the fine-tuned, the rest of those before (--wise-ft)"
    best, *means = found.tried
    if found.chosen is None:
        others = ", ".join(f"{one.share:g}: {one.loss:.4f}" for one in means)
        return f"weights: those of the best epoch (loss {best.loss:.4f}; means, {others})"
    one = next(one for one in means if one.share == found.chosen)
    return (
        f"weights: {one.share:g} of the fine-tuned and {1 - found.chosen:g} of those before, by "
        f"{found.images} validation images: loss {best.loss:.4f} -> {one.loss:.4f}, accuracy "
        f"{best.accuracy:.1%} -> {one.accuracy:.1%}"
    )
