"""The layers of a network from its head down: for rates of their own, and for unfreezing."""

import re

from timm.models import group_parameters
from torch import nn

from lacewing.models.build import head_parameters
from lacewing.models.joined import Joined

NUMBERED = re.compile(r"(.*?\.\d+)\.")
"""The block of a parameter: its name up to the first number."""


def layers_below_head(model: nn.Module) -> dict[str, int]:
    """How far below the head each parameter of a network that `build_model` made lies, by name.

    0 for the head, 1 for the last layer before it. A layer is what timm groups for layer-wise
    decay (a residual block, a transformer block), else a numbered block, and the parts between two
    of them together. Networks side by side are counted each from the head.
    """
    head = head_parameters(model)
    return {
        name: 0 if name in head else 1 + place
        for body, prefix in bodies_of(model)
        for name, place in from_the_end(body, prefix, head).items()
    } | dict.fromkeys(head, 0)


def bodies_of(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """The networks that see the image, with what stands before their parameters' names."""
    if isinstance(model, Joined):
        return [(body, f"bodies.{number}.") for number, body in enumerate(model.bodies)]
    return [(model, "")]


def from_the_end(body: nn.Module, prefix: str, head: frozenset[str]) -> dict[str, int]:
    """The layer of each of a network's parameters outside the head, from 0 at its end."""
    layers = {
        prefix + name: layer
        for name, layer in numbered_layers(body).items()
        if prefix + name not in head
    }
    places = {layer: place for place, layer in enumerate(sorted(set(layers.values()))[::-1])}
    return {name: places[layer] for name, layer in layers.items()}


def numbered_layers(body: nn.Module) -> dict[str, int]:
    """A number for each parameter, by its name, that rises from the image to the head."""
    matcher = getattr(body, "group_matcher", None)
    if matcher is not None:
        groups: dict[str, int] = group_parameters(body, matcher(coarse=False), reverse=True)
        return groups
    layers: dict[str, int] = {}
    before, layer = None, -1
    for name, _ in body.named_parameters():
        found = NUMBERED.match(name)
        block = found[1] if found else ""
        layer += block != before
        before, layers[name] = block, layer
    return layers


def layer_rates(model: nn.Module, head_rate: float, decay: float) -> dict[str, float]:
    """What each parameter's learning rate is multiplied by: 1 for the last layer before the head.

    Layer-wise decay is by Clark et al. 2020, ELECTRA (arXiv:2003.10555), as timm applies it to
    networks for images; `decay` is its factor from one layer to the layer before it.
    """
    below = layers_below_head(model)
    return {name: decay ** (place - 1) if place else head_rate for name, place in below.items()}
