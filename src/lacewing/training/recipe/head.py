"""Which head: its L2 strength is chosen on images that it was not fitted to."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lacewing.engine.heads import Head, fit_path
from lacewing.training.recipe.features import Features

STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""The strongest first: each fit starts from the one before, and the search ends where the
loss on the other images rises again."""
LEAST_FOR_CHOICE = 50
"""Validation images below which the strength is chosen by cross-validation instead."""
FOLDS = 5


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


def choose_head(train: Features, val: Features | None, classes: int) -> Chosen:
    """A head fitted to the training features, at the strength with the least validation loss."""
    if val is not None and len(val.labels) >= LEAST_FOR_CHOICE:
        fitted = fit_path(train.rows, train.row_labels, classes, STRENGTHS)
        head, tried = best_of(fitted, val)
        return Chosen(head, tried, least_loss(tried), f"{len(val.labels)} validation images")
    tried = tried_by_folds(train, classes)
    strength = least_loss(tried)
    path = STRENGTHS[: STRENGTHS.index(strength) + 1]
    *_, head = fit_path(train.rows, train.row_labels, classes, path)
    return Chosen(head, tried, strength, f"{FOLDS} folds of the training images")


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


def tried_by_folds(train: Features, classes: int) -> tuple[Tried, ...]:
    """The mean outcome of every strength on the folds left out; views stay together."""
    fold = fold_of(train.labels)
    outcomes: list[list[Tried]] = []
    for number in range(FOLDS):
        out = fold == number
        if not out.any() or out.all():
            continue
        kept = Features(train.values[:, ~out], train.labels[~out])
        others = Features(train.values[:, out], train.labels[out])
        heads = fit_path(kept.rows, kept.row_labels, classes, STRENGTHS)
        pairs = zip(heads, STRENGTHS, strict=True)
        outcomes.append([outcome(head, strength, others) for head, strength in pairs])
    if not outcomes:  # one image of each class: nothing can be left out
        return ()
    return tuple(
        Tried(
            strength,
            fmean(fold[place].loss for fold in outcomes),
            fmean(fold[place].accuracy for fold in outcomes),
        )
        for place, strength in enumerate(STRENGTHS)
    )


def fold_of(labels: Tensor) -> Tensor:
    """The fold of each image, int64 [n]: each class is dealt out in turn."""
    folds = torch.empty_like(labels)
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        folds[rows] = torch.arange(len(rows)) % FOLDS
    return folds
