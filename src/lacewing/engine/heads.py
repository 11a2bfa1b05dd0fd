"""A linear head fitted to frozen features, in closed batches: no step size, no epochs.

Multinomial logistic regression on standardised features, by L-BFGS (Liu and Nocedal 1989) with
a strong Wolfe line search. The standardisation is folded into the head, so that it stands in a
network like any other.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

ITERATIONS = 60
"""Of L-BFGS for one strength; from the solution of the strength before, fewer are needed."""
HISTORY = 10
LEAST_EVALUATIONS = 20
"""Of the first strength's objective, however late it is: then the head tells classes apart."""
TOLERANCE = 1e-4
"""Largest gradient entry of a solution: the mean loss is then right to about 1e-4."""
FLAT = 1e-6
"""A feature whose standard deviation is below this says nothing and is left as it is."""


@dataclass(frozen=True)
class Head:
    """Logits = features @ weight.T + bias."""

    weight: Tensor
    """float32 [C, D]."""
    bias: Tensor
    """float32 [C]."""

    def __call__(self, features: Tensor) -> Tensor:
        """Logits float32 [n, C] of features float32 [n, D]."""
        return features @ self.weight.T + self.bias

    def scaled(self, factor: float) -> "Head":
        """A head whose logits are `factor` times as large."""
        return Head(self.weight * factor, self.bias * factor)

    def shifted(self, shift: Tensor) -> "Head":
        """A head whose logits are larger by `shift`, float32 [C]."""
        return Head(self.weight, self.bias + shift)


@dataclass(frozen=True)
class Standard:
    """Features brought to mean 0 and standard deviation 1."""

    mean: Tensor
    """float32 [D]; so is `scale`."""
    scale: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Standardised features, float32 [n, D]."""
        return (features - self.mean).div_(self.scale)  # in place: a copy of all is large

    def fold(self, head: Head) -> Head:
        """The head for features that are not standardised."""
        weight = head.weight / self.scale
        return Head(weight, head.bias - weight @ self.mean)


def standard_of(features: Tensor) -> Standard:
    """Mean and standard deviation of features float32 [n, D]."""
    scale = features.std(0, correction=0)
    return Standard(features.mean(0), torch.where(scale < FLAT, torch.ones_like(scale), scale))


class LateError(Exception):
    """The time for a fit is up."""


def fit_path(
    features: Tensor,
    labels: Tensor,
    classes: int,
    strengths: Sequence[float],
    is_late: Callable[[], bool] = lambda: False,
) -> Iterator[Head]:
    """A head per L2 strength, each started from the one before: give the strongest first.

    Once `is_late`, the fit that is under way ends with the best weights it has seen, and no
    other begins. There is always one head.

    features: float32 [n, D], labels: int64 [n]. The objective is the mean cross-entropy plus
    strength / 2 times the squared weights of the standardised features; the bias is free.
    """
    standard = standard_of(features)
    inputs = standard(features)
    weights = torch.zeros(classes, features.shape[1] + 1)
    for number, strength in enumerate(strengths):
        if number and is_late():
            return
        least = 0 if number else LEAST_EVALUATIONS
        weights = minimise(inputs, labels, weights, strength, is_late, least)
        yield standard.fold(Head(weights[:, :-1], weights[:, -1]))


def minimise(
    inputs: Tensor,
    labels: Tensor,
    start: Tensor,
    strength: float,
    is_late: Callable[[], bool] = lambda: False,
    least_evaluations: int = 0,
) -> Tensor:
    """The weights float32 [C, D + 1], the bias last, at which the objective is least.

    Once `is_late`, after so many evaluations of the objective, the best that were seen.
    """
    weights = start.clone().requires_grad_()
    best, best_loss, evaluations = start, math.inf, 0
    solver = torch.optim.LBFGS(
        [weights],
        max_iter=ITERATIONS,
        history_size=HISTORY,
        tolerance_grad=TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        nonlocal best, best_loss, evaluations
        if evaluations >= least_evaluations and is_late():
            raise LateError
        evaluations += 1
        solver.zero_grad()
        logits = inputs @ weights[:, :-1].T + weights[:, -1]
        loss = cross_entropy(logits, labels) + strength / 2 * weights[:, :-1].square().sum()
        loss.backward()
        value = float(loss.detach())
        if value < best_loss:
            best, best_loss = weights.detach().clone(), value
        return loss

    try:
        solver.step(objective)
    except LateError:
        return best
    return weights.detach()


@torch.no_grad()
def read_head(layer: nn.Linear | nn.Conv2d) -> Head:
    """A copy of a network's last layer, on the CPU."""
    weight = layer.weight.detach().float().cpu().flatten(1)
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach().float().cpu()
    return Head(weight.clone(), bias.clone())


@torch.no_grad()
def write_head(layer: nn.Linear | nn.Conv2d, head: Head) -> None:
    """Put a head into a network's last layer, in place."""
    layer.weight.copy_(head.weight.view_as(layer.weight))
    assert layer.bias is not None, "a new head has a bias"
    layer.bias.copy_(head.bias)
