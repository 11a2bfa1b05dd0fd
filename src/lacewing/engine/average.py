"""A running average of the weights, which is judged and kept in the place of the weights."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from lacewing.engine.step import copy_each, lerp_each


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
        self._shelves = [shelf for shelf in shelves(model) if shelf[0] in self.state]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the network's weights after optimiser step `step`, counted from 1."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = [(self.state[name], shelf[key]) for name, shelf, key in self._shelves]
        lerp_each((pair for pair in pairs if pair[0].is_floating_point()), share)
        copy_each(pair for pair in pairs if not pair[0].is_floating_point())

    @torch.no_grad()
    def put_back(self, state: dict[str, Tensor]) -> None:
        """Make it an average that was saved before."""
        copy_each((value, state[name]) for name, value in self.state.items())


def shelves(model: nn.Module) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each tensor's name, the dictionary of its module that holds it, and its key there.

    Collected once, they lead to the tensors in a moment, also where others have taken the places
    of the first; `state_dict` walks through the network each time.
    """
    for prefix, module in model.named_modules(remove_duplicate=False):
        for shelf in (module._parameters, module._buffers):
            for key in shelf:
                yield f"{prefix}.{key}" if prefix else key, shelf, key


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
