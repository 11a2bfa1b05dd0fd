"""Which head: its L2 strength is chosen on images that it was not fitted to."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lacewing.engine.heads import Head, fit_path
from lacewing.training.recipe.features import Features

STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
"""The strongest first: each fit starts from the one before, and the search ends where the
loss on the other images rises again."""
LEAST_FOR_CHOICE = 50
"""Validation images below which the strength is chosen by cross-validation instead."""
FOLDS = 5
FOLDS_SHARE = 0.8
"""Of the time for fitting: each of five folds is fitted to four fifths of the images, and in the
end all images are."""
FIRST_IMAGES = 2048
"""Whose fit is timed, where the time is limited."""
MARGIN = 0.8
"""Of the time that is left may be planned for: more images may take more iterations."""
WORTH_REFITTING = 2
"""Times as many images must fit the time for a second fit."""


@dataclass(frozen=True)
class Tried:
    """One strength, and how the head fitted at it did on images that it was not fitted to."""

    strength: float
    loss: float
    """Mean cross-entropy; over folds, the mean of theirs. So is `accuracy`."""
    accuracy: float


@dataclass(frozen=True)
class Chosen:
    """A fitted head and how it was chosen."""

    head: Head
    tried: tuple[Tried, ...]
    """The strongest first."""
    strength: float
    chosen_on: str
    """In words: validation images, or folds."""
    images: int
    """Training images that it was fitted to."""


@dataclass(frozen=True)
class Limit:
    """When fitting must have ended, on a clock."""

    deadline: float = math.inf
    clock: Callable[[], float] = time.perf_counter

    def left(self) -> float:
        """Seconds until then."""
        return self.deadline - self.clock()

    def is_over(self) -> bool:
        """Whether it has passed."""
        return self.left() <= 0

    def part(self, share: float) -> "Limit":
        """The end of a share of the time that is left."""
        return replace(self, deadline=self.clock() + share * max(0.0, self.left()))


def choose_head(
    train: Features, val: Features | None, classes: int, limit: Limit | None = None
) -> Chosen:
    """A head fitted to the training features, at the strength with the least validation loss.

    Under a limit it is fitted to a first part of the images, whose time tells how many more the
    rest of the time allows: to all of them, where it is enough, the head is that without a limit.
    `train` must be in a random order.
    """
    limit = limit or Limit()
    if limit.deadline == math.inf or len(train.labels) <= FIRST_IMAGES:
        return fitted(train, val, classes, limit)
    started = limit.clock()
    first = fitted(train.first(FIRST_IMAGES), val, classes, limit)
    took = max(limit.clock() - started, 1e-9)
    images = int(FIRST_IMAGES * min(1e6, MARGIN * max(0.0, limit.left()) / took))
    if images < WORTH_REFITTING * FIRST_IMAGES:
        return first
    later = fitted(train.first(images), val, classes, limit)
    return min(later, first, key=lambda one: min((t.loss for t in one.tried), default=0.0))


def fitted(train: Features, val: Features | None, classes: int, limit: Limit) -> Chosen:
    """A head fitted to these features; one that the limit cuts short is still a head."""
    images = len(train.labels)
    if val is not None and len(val.labels) >= LEAST_FOR_CHOICE:
        path = fit_path(train.rows, train.row_labels, classes, STRENGTHS, limit.is_over)
        head, tried = best_of(path, val)
        words = f"{len(val.labels)} validation images"
        return Chosen(head, tried, least_loss(tried), words, images)
    tried = tried_by_folds(train, classes, limit.part(FOLDS_SHARE))
    wanted = STRENGTHS[: STRENGTHS.index(least_loss(tried)) + 1]
    path = fit_path(train.rows, train.row_labels, classes, wanted, limit.is_over)
    *_, (head, strength) = zip(path, wanted, strict=False)
    return Chosen(head, tried, strength, f"{FOLDS} folds of the training images", images)


def best_of(heads: Iterator[Head], val: Features) -> tuple[Head, tuple[Tried, ...]]:
    """The head with the least loss, and all that were fitted; none is after it rises again."""
    tried: list[Tried] = []
    best: Head | None = None
    for head, strength in zip(heads, STRENGTHS, strict=False):
        tried.append(outcome(head, strength, val))
        if best is not None and tried[-1].loss >= tried[-2].loss:
            break
        best = head
    assert best is not None
    return best, tuple(tried)


def outcome(head: Head, strength: float, others: Features) -> Tried:
    """How a head does on the first view of other images."""
    logits = head(others.values[0])
    right = float((logits.argmax(1) == others.labels).float().mean())
    return Tried(strength, float(cross_entropy(logits, others.labels)), right)


def least_loss(tried: tuple[Tried, ...]) -> float:
    """The strength with the least loss; the strongest of equals, and where none was tried."""
    return min(tried, key=lambda one: one.loss).strength if tried else STRENGTHS[0]


def tried_by_folds(train: Features, classes: int, limit: Limit) -> tuple[Tried, ...]:
    """The mean outcome of every strength on the folds left out; views stay together.

    Once the limit is over, of those that all folds have come to; one fold is always begun.
    """
    fold = fold_of(train.labels)
    outcomes: list[list[Tried]] = []
    for number in range(FOLDS):
        out = fold == number
        if not out.any() or out.all() or (outcomes and limit.is_over()):
            continue
        kept = Features(train.values[:, ~out], train.labels[~out])
        others = Features(train.values[:, out], train.labels[out])
        heads = fit_path(kept.rows, kept.row_labels, classes, STRENGTHS, limit.is_over)
        pairs = zip(heads, STRENGTHS, strict=False)
        outcomes.append([outcome(head, strength, others) for head, strength in pairs])
    if not outcomes:  # one image of each class: nothing can be left out
        return ()
    return tuple(
        Tried(
            strength,
            fmean(fold[place].loss for fold in outcomes),
            fmean(fold[place].accuracy for fold in outcomes),
        )
        for place, strength in enumerate(STRENGTHS[: min(map(len, outcomes))])
    )


def fold_of(labels: Tensor) -> Tensor:
    """The fold of each image, int64 [n]: each class is dealt out in turn."""
    folds = torch.empty_like(labels)
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        folds[rows] = torch.arange(len(rows)) % FOLDS
    return folds
