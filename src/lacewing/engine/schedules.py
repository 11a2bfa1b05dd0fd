"""Learning-rate schedules: a factor of the base rate at each optimiser step.

All but `plateau` are pure functions of the step, so nothing of them needs to be saved. A new
one is a function and a line in SHAPES.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

Shape = Callable[[int], float]
"""The factor at a step, warm-up apart."""


class Schedule(Protocol):
    """What multiplies the base learning rate."""

    def factor(self, step: int) -> float:
        """The factor at optimiser step `step`, counted from 0."""

    def observe(self, val_loss: float) -> None:
        """Take note of an epoch's validation loss."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values that a restart needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned."""


@dataclass(frozen=True)
class Timed:
    """The length of a run in optimiser steps, and the schedule's own settings."""

    steps_per_epoch: int
    epochs: int
    step_epochs: float
    gamma: float | None

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.steps_per_epoch * self.epochs


def constant(_timed: Timed) -> Shape:
    """The base rate throughout."""
    return lambda _step: 1.0


def steps(timed: Timed) -> Shape:
    """Times gamma (0.1) every `step_epochs` epochs; torch's StepLR."""
    gamma = 0.1 if timed.gamma is None else timed.gamma
    width = max(1, round(timed.step_epochs * timed.steps_per_epoch))
    return lambda step: gamma ** (step // width)


def exponential(timed: Timed) -> Shape:
    """Times gamma (0.96) after each epoch; torch's ExponentialLR."""
    gamma = 0.96 if timed.gamma is None else timed.gamma
    return lambda step: gamma ** (step // timed.steps_per_epoch)


def cosine(timed: Timed) -> Shape:
    """Half a cosine from 1 to 0, step by step; Loshchilov and Hutter 2017, without restarts."""
    return lambda step: 0.5 * (1 + math.cos(math.pi * min(step, timed.total) / timed.total))


def one_cycle(timed: Timed) -> Shape:
    """Up from 1/25 over 30 % of the steps, then down to 1/250,000; Smith 2018.

    Both halves are cosines: torch's OneCycleLR with its defaults, whose highest rate is the
    base rate. Momentum is left alone.
    """
    start, end = 1 / 25, 1 / 25 / 1e4
    peak, last = 0.3 * timed.total - 1, timed.total - 1

    def factor(step: int) -> float:
        if step <= peak:
            return _between(start, 1.0, step / peak)
        return _between(1.0, end, (min(step, last) - peak) / (last - peak))

    return factor


def _between(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


SHAPES: dict[str, Callable[[Timed], Shape]] = {
    "none": constant,
    "steplr": steps,
    "expdecay": exponential,
    "cosine": cosine,
    "onecycle": one_cycle,
}
"""Every schedule that depends on the step alone, by its name in `--scheduler`."""


@dataclass(frozen=True)
class Fixed:
    """A schedule known beforehand."""

    shape: Shape
    warmup_steps: int

    def factor(self, step: int) -> float:
        """The shape's factor, times the warm-up's."""
        return self.shape(step) * warmup(step, self.warmup_steps)

    def observe(self, val_loss: float) -> None:
        """Nothing: it does not depend on the loss."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing to save."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to put back."""


@dataclass
class Plateau:
    """Times gamma once the validation loss has not fallen for more than `patience` epochs.

    torch's ReduceLROnPlateau with its relative threshold of 1e-4. Its patience of 10 would
    never come to bear, since `--patience` ends the run after as many epochs: hence half of it.
    """

    gamma: float
    warmup_steps: int
    patience: int = 5
    best: float = math.inf
    bad_epochs: int = 0
    drops: int = 0

    def factor(self, step: int) -> float:
        """Gamma to the power of the drops so far, times the warm-up's factor."""
        return float(self.gamma**self.drops) * warmup(step, self.warmup_steps)

    def observe(self, val_loss: float) -> None:
        """Count an epoch without gain, and drop when there were too many."""
        if val_loss < self.best * (1 - 1e-4):
            self.best, self.bad_epochs = val_loss, 0
        else:
            self.bad_epochs += 1
        if self.bad_epochs > self.patience:
            self.drops, self.bad_epochs = self.drops + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """The best loss, epochs since, drops so far."""
        return {"best": self.best, "bad_epochs": self.bad_epochs, "drops": self.drops}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put them back."""
        self.best, self.bad_epochs, self.drops = state["best"], state["bad_epochs"], state["drops"]


def make_schedule(
    name: str,
    *,
    steps_per_epoch: int,
    epochs: int,
    warmup_epochs: float = 0.0,
    step_epochs: float = 40.0,
    gamma: float | None = None,
) -> Schedule:
    """The schedule of that name, a key of SHAPES or `plateau`."""
    warmup_steps = round(warmup_epochs * steps_per_epoch)
    if name == "plateau":
        return Plateau(0.1 if gamma is None else gamma, warmup_steps)
    timed = Timed(steps_per_epoch, epochs, step_epochs, gamma)
    return Fixed(SHAPES[name](timed), warmup_steps)


def warmup(step: int, warmup_steps: int) -> float:
    """A linear ramp to 1, reached at the last warm-up step; Goyal et al. 2017, section 2.2."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def set_learning_rate(optimizer: torch.optim.Optimizer, base: float, factor: float) -> None:
    """Give every group base x factor, times the group's own `lr_scale` where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = base * factor * group.get("lr_scale", 1.0)


def learning_rate_of(optimizer: torch.optim.Optimizer) -> float:
    """The rate that `set_learning_rate` has given, without a group's own scale."""
    # by the largest scale: that of a first layer may be too small to divide by
    group = max(optimizer.param_groups, key=lambda group: group.get("lr_scale", 1.0))
    return float(group["lr"] / group.get("lr_scale", 1.0))
