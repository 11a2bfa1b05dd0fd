"""Where a network looked: a heat map over its input.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): the channels of the last feature map, each
weighed by the mean gradient of the class's score, summed, and what speaks against the class
left out. The feature map is found by watching a pass, so it works for any network.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lacewing.models.mirrored import Mirrored

OPACITY = 0.7
"""Of the hottest place in the overlay; the coldest is clear."""
RAMP = np.array(
    [(46, 8, 84), (130, 24, 110), (204, 52, 82), (244, 112, 40), (252, 184, 30), (255, 236, 80)],
    dtype=np.float64,
)
"""Colours from cold to hot, RGB; they grow lighter, so that grey prints keep the order."""
NO_FEATURES = (nn.Dropout, nn.Softmax, nn.Identity)
"""What these put out may be attention between places, which has the shape of a feature map."""


def heat_map(model: nn.Module, image: Tensor, label: int | None = None) -> np.ndarray:
    """Where a class is seen, float32 [S, S] in 0..1; all 0 where nothing speaks for it.

    image: float32 [1, 3, S, S], normalised, on the model's device. `label` is the class, by
    default the most probable. The model should be in eval mode; its weights get no gradient.
    Of a mirrored model the pass over the image as it is gets explained.
    """
    if isinstance(model, Mirrored):
        return heat_map(model.network, image, best_class(model, image) if label is None else label)
    size = image.shape[-1]
    with torch.enable_grad(), watched(model) as maps:
        logits = model(image.detach().requires_grad_())
        score = logits[0, int(logits.argmax(1)) if label is None else label]
    for features in reversed(maps):
        (gradient,) = torch.autograd.grad(score, features, retain_graph=True, allow_unused=True)
        if gradient is None:
            continue
        places, weights = as_places(features.detach()), as_places(gradient)
        # behind a class token, the other places no longer count: go on to an earlier map
        if weights.any():
            return enlarged(weighed(places, weights), size)
    return np.zeros((size, size), np.float32)


@torch.no_grad()
def best_class(model: nn.Module, image: Tensor) -> int:
    """The most probable class of one image, float32 [1, 3, S, S]."""
    return int(model(image).argmax(1))


@contextmanager
def watched(model: nn.Module) -> Iterator[list[Tensor]]:
    """Feature maps of the passes inside the block, in the order in which they are finished."""
    maps: list[Tensor] = []

    def keep(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and is_map(module, output):
            maps.append(output)

    hooks = [module.register_forward_hook(keep) for module in model.modules()
             if module is not model and not isinstance(module, NO_FEATURES)]  # fmt: skip
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()


def is_map(module: nn.Module, output: Tensor) -> bool:
    """Whether an output has channels at places of a square grid of more than one.

    [1, C, h, h], [1, h, h, C], or the tokens [1, prefix + h * h, C] of a normalisation layer.
    """
    if output.ndim == 4 and len(output) == 1:
        _, first, second, third = output.shape
        return (second == third > 1) or (first == second > 1)
    is_tokens = output.ndim == 3 and len(output) == 1 and isinstance(module, nn.LayerNorm)
    return is_tokens and output.shape[1] > 3


def as_places(values: Tensor) -> Tensor:
    """A feature map, or its gradient, as [C, h, h]."""
    if values.ndim == 3:
        side = isqrt(values.shape[1])
        # class and register tokens stand before those of the places
        return values[0, -(side * side) :].reshape(side, side, -1).permute(2, 0, 1)
    second, third = values.shape[2:]
    return values[0] if second == third else values[0].permute(2, 0, 1)


def weighed(places: Tensor, gradient: Tensor) -> Tensor:
    """The class activation [h, h], at least 0."""
    weights = gradient.mean((1, 2), keepdim=True)
    return (weights * places).sum(0).float().clamp(min=0)


def enlarged(heat: Tensor, size: int) -> np.ndarray:
    """[h, h] interpolated to float32 [size, size], its maximum 1 unless it is 0 everywhere."""
    large = interpolate(heat[None, None], size=(size, size), mode="bilinear")[0, 0]
    scaled = large / large.max().clamp(min=torch.finfo(torch.float32).tiny)
    return scaled.clamp(0, 1).cpu().numpy()


def overlay(square: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture uint8 [S, S, 3] under its heat map float32 [S, S]: uint8 [S, S, 3]."""
    colours = np.stack(
        [np.interp(heat, np.linspace(0, 1, len(RAMP)), channel) for channel in RAMP.T], axis=-1
    )
    share = OPACITY * heat[..., None]
    return np.rint(square * (1 - share) + colours * share).astype(np.uint8)
