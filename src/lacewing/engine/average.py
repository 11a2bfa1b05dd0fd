"""A running average of the weights, which is judged and kept in the place of the weights."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of a network's weights and statistics.

    Polyak and Juditsky 1992; Szegedy et al. 2016. With a decay d the average holds about the
    last 1 / (1 - d) steps, which a short run never does: so its decay starts low and is at
    most (1 + step) / (10 + step), as in TensorFlow's ExponentialMovingAverage and timm's
    ModelEmaV3. What is not a floating-point number (a counter) is copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        """The averaged tensors, by name, on the network's device."""

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step `step`, counted from 1."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, share)
            else:
                self.state[name].copy_(value)

    @torch.no_grad()
    def put_back(self, state: dict[str, Tensor]) -> None:
        """Make it an average that was saved before."""
        for name, value in self.state.items():
            value.copy_(state[name])


@contextmanager
def averaged(model: nn.Module, average: Average | None) -> Iterator[None]:
    """The network with its averaged weights inside the block; with its own after it.

    They change places, so nothing is copied: `average` has the network's own in the meantime.
    """
    pairs = [] if average is None else list(places(model, average))
    exchange(pairs)
    try:
        yield
    finally:
        # of weights that have two names the average has two tensors
        exchange(pairs[::-1])


def places(model: nn.Module, average: Average) -> Iterator[tuple[Tensor, Tensor]]:
    """Each of the network's tensors with its average."""
    named = chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    )
    return ((tensor, average.state[name]) for name, tensor in named if name in average.state)


def exchange(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """The memory of each tensor becomes the other's of its pair."""
    for one, other in pairs:
        one.data, other.data = other.data, one.data
