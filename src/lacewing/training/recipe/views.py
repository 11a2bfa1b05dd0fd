"""How the finished model looks at an image: chosen on validation images.

The whole frame instead of a central crop costs nothing later. The mean with the mirror image's
logits costs a second pass for every prediction, so it has to show more.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lacewing import console
from lacewing.data.eval_loader import EvalLoader
from lacewing.data.preprocess import Preprocessing
from lacewing.engine.calibration import fit_temperature
from lacewing.engine.inference import loaded_in_halves, predict_logits
from lacewing.models.mirrored import both_ways
from lacewing.training.bookkeeping import load_best, save_best
from lacewing.training.recipe.linear import loader_of
from lacewing.training.session import Session

LEAST_IMAGES = 50
"""Validation images below which a choice would be chance."""
MOST_IMAGES = 1000
"""Validation images that the views are compared on: the difference of two views is the same
image's, so a thousand tell it to about half a percent of the loss."""
FREE = 1.0
"""Standard errors by which a view that costs nothing must lower the loss."""
COSTLY = 2.0
"""The same for one that doubles the time of every prediction."""
LEAST_GAIN = 0.02
"""Share of the loss by which such a one must lower it too."""


@dataclass(frozen=True)
class View:
    """One way to look at an image; as in validation during training, if neither is set."""

    whole: bool = False
    """The square of the whole shorter side, not a central part of it."""
    mirror: bool = False
    """The mean of the image's logits and its mirror image's."""


VIEWS = {
    "off": View(),
    "whole": View(whole=True),
    "mirror": View(mirror=True),
    "both": View(whole=True, mirror=True),
}
"""By the words of --tta."""
WORDS = {
    "off": "the central crop",
    "whole": "the whole frame",
    "mirror": "the central crop, mirrored too",
    "both": "the whole frame, mirrored too",
}


@dataclass(frozen=True)
class Tried:
    """What one view did on validation images, each view with a temperature of its own."""

    view: str
    loss: float
    """Mean cross-entropy."""
    accuracy: float
    gain: float
    """How much lower the loss is than with the usual view."""
    error: float
    """Standard error of `gain`, from the images' differences."""


@dataclass(frozen=True)
class Looked:
    """The view of a finished model, and what it was chosen by."""

    chosen: str
    images: int
    """Validation images that it was chosen on; 0 where it was asked for."""
    tried: tuple[Tried, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def settle_view(session: Session, names: tuple[str, ...]) -> Looked | None:
    """Give a session its finished model's view, and save the model with it.

    `names` are the views that may be chosen, the usual one first; a single one is taken. Returns
    None where that is the usual one.
    """
    if names == ("off",):
        return None
    load_best(session)
    looked = compared(*seen_in(session, names)) if len(names) > 1 else Looked(names[0], 0)
    take(session, VIEWS[looked.chosen])
    console.say(sentence(looked))
    return looked


def take(session: Session, view: View) -> None:
    """The session's finished model looks at images in this way."""
    session.preprocessing = framed(session.preprocessing, view.whole)
    session.mirror = view.mirror
    save_best(session)


def framed(rule: Preprocessing, whole: bool) -> Preprocessing:
    """The same at the whole frame, if asked."""
    return replace(rule, crop_fraction=1.0) if whole else rule


def seen_in(session: Session, names: tuple[str, ...]) -> tuple[dict[str, Tensor], Tensor]:
    """Logits float32 [n, C] in each view, and labels int64 [n], of validation images."""
    mirrors = any(VIEWS[name].mirror for name in names)
    logits, labels = {}, torch.empty(0)
    for frame in dict.fromkeys(VIEWS[name].whole for name in names):
        images = images_to_compare(session, frame, 2 if mirrors else 1)
        seen, labels = predict_logits(
            BothWays(session.model) if mirrors else session.model,
            loaded_in_halves(images, session.backend),
            session.backend,
            session.plan.eval_execution,
        )
        plain = seen[:, 0] if mirrors else seen
        for name in (name for name in names if VIEWS[name].whole == frame):
            logits[name] = seen.mean(1) if VIEWS[name].mirror else plain
    return {name: logits[name] for name in names}, labels


class BothWays(nn.Module):
    """Images [N, 3, S, S] to logits [N, 2, C]: see `both_ways`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, 2, C]."""
        return both_ways(self.network, images)


def images_to_compare(session: Session, whole: bool, passes: int, keep: str = "none") -> EvalLoader:
    """Up to MOST_IMAGES, spread evenly over the validation split; `passes` of each at once."""
    rows = session.index.split("val")
    count = min(MOST_IMAGES, len(rows))
    # a split is sorted by class, so even steps take every class in proportion
    part = rows.take(np.linspace(0, len(rows) - 1, count).round().astype(np.int64))
    loader = loader_of(session, part, framed(session.preprocessing, whole), keep)
    loader.batch_size = max(1, loader.batch_size // passes)
    return loader


def validation_images(session: Session) -> EvalLoader:
    """The whole validation split as the finished model sees it."""
    if session.preprocessing.crop_fraction == session.info.crop_fraction:
        loader = session.val_loader.whole()  # whose pixels may be decoded already
    else:
        loader = loader_of(session, session.index.split("val"), session.preprocessing)
    loader.batch_size = max(1, loader.batch_size // (2 if session.mirror else 1))
    return loader


def compared(logits: Mapping[str, Tensor], labels: Tensor) -> Looked:
    """The best view by logits float32 [n, C] of the same images, labels int64 [n].

    Each view gets its own temperature first, as the chosen one will: a mean of two logits is
    less sure than one, and would win by that alone over a network that is too sure.
    """
    losses = {name: calibrated_losses(seen, labels) for name, seen in logits.items()}
    usual = losses["off"]
    tried = tuple(
        Tried(
            name,
            float(loss.mean()),
            float((logits[name].argmax(1) == labels).float().mean()),
            float((usual - loss).mean()),
            standard_error(usual - loss),
        )
        for name, loss in losses.items()
    )
    return Looked(choose_view(losses), len(labels), tried)


def calibrated_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image, float64 [n], at the temperature that fits best."""
    return losses_at(fit_temperature(logits, labels), logits, labels)


def losses_at(temperature: float, logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image at a temperature, float64 [n]."""
    return cross_entropy(logits.double() / temperature, labels, reduction="none")


def choose_view(losses: Mapping[str, Tensor]) -> str:
    """The view to use, by each view's losses float64 [n] of the same images.

    First the frame, then whether to mirror it: each must lower the loss by more than noise.
    """
    frame = "off"
    if "whole" in losses and lowers(losses["off"], losses["whole"], FREE):
        frame = "whole"
    mirrored = {"off": "mirror", "whole": "both"}[frame]
    if mirrored in losses and lowers(losses[frame], losses[mirrored], COSTLY, LEAST_GAIN):
        return mirrored
    return frame


def lowers(usual: Tensor, other: Tensor, errors: float, share: float = 0.0) -> bool:
    """Whether the mean loss falls by more than so many standard errors, and this share of it."""
    gain = usual - other
    least = max(errors * standard_error(gain), share * float(usual.mean()))
    return float(gain.mean()) > least


def standard_error(values: Tensor) -> float:
    """Of the mean of values float [n]."""
    return float(values.std()) / sqrt(len(values))


def sentence(looked: Looked) -> str:
    """One line for the screen."""
    words = WORDS[looked.chosen]
    if not looked.tried:
        return f"view of the finished model: {words} (--tta)"
    found = {one.view: one for one in looked.tried}
    usual, chosen = found["off"], found[looked.chosen]
    if looked.chosen == "off":
        others = ", ".join(f"{WORDS[one.view]} {one.loss:.4f}" for one in looked.tried[1:])
        return f"view of the finished model: {words} (loss {usual.loss:.4f}; {others})"
    return (
        f"view of the finished model: {words}, by {looked.images} validation images: loss "
        f"{usual.loss:.4f} -> {chosen.loss:.4f}, accuracy {usual.accuracy:.1%} -> "
        f"{chosen.accuracy:.1%}"
    )
