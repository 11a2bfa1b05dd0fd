"""Which head: its L2 strength is chosen on images that it was not fitted to."""

from collections.abc import Iterator
from dataclasses import dataclass

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
class Chosen:
    """A fitted head and how it was chosen."""

    head: Head
    strength: float
    chosen_on: str
    """In words: validation images, or folds."""


def choose_head(train: Features, val: Features | None, classes: int) -> Chosen:
    """A head fitted to the training features, at the strength with the least validation loss."""
    if val is not None and len(val.labels) >= LEAST_FOR_CHOICE:
        fitted = fit_path(train.rows, train.row_labels, classes, STRENGTHS)
        head, strength = best_of(fitted, val)
        return Chosen(head, strength, f"{len(val.labels)} validation images")
    strength = strength_by_folds(train, classes)
    path = STRENGTHS[: STRENGTHS.index(strength) + 1]
    *_, head = fit_path(train.rows, train.row_labels, classes, path)
    return Chosen(head, strength, f"{FOLDS} folds of the training images")


def best_of(heads: Iterator[Head], val: Features) -> tuple[Head, float]:
    """The head with the least loss, and its strength; heads after it are not fitted."""
    best: tuple[float, Head, float] | None = None
    for head, strength in zip(heads, STRENGTHS, strict=False):
        loss = float(cross_entropy(head(val.values[0]), val.labels))
        if best is not None and loss >= best[0]:
            break
        best = loss, head, strength
    assert best is not None
    return best[1], best[2]


def strength_by_folds(train: Features, classes: int) -> float:
    """The strength with the least mean loss on the folds left out; views stay together."""
    fold = fold_of(train.labels)
    losses = torch.zeros(len(STRENGTHS))
    for number in range(FOLDS):
        out = fold == number
        if not out.any() or out.all():
            continue
        kept = Features(train.values[:, ~out], train.labels[~out])
        heads = fit_path(kept.rows, kept.row_labels, classes, STRENGTHS)
        for place, head in enumerate(heads):
            losses[place] += cross_entropy(head(train.values[0, out]), train.labels[out])
    return STRENGTHS[int(losses.argmin())]


def fold_of(labels: Tensor) -> Tensor:
    """The fold of each image, int64 [n]: each class is dealt out in turn."""
    folds = torch.empty_like(labels)
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        folds[rows] = torch.arange(len(rows)) % FOLDS
    return folds
