"""Which tensors of a file fit a network: loaded, left out, missing, and said in a sentence."""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lacewing.errors import WeightsError
from lacewing.models.catalog import ModelInfo
from lacewing.models.networks import heads_of, parameter_names
from lacewing.models.weights import Weights

LEAST_SHARE = 0.5
"""Of the backbone's tensors; with fewer, the file is another network's."""
NAMED = 3
"""How many tensors a sentence names."""


@dataclass(frozen=True)
class Fit:
    """How a state meets a network."""

    loaded: dict[str, Tensor]
    """Of the state: right name, right shape."""
    dropped: tuple[str, ...]
    """Of the state: another shape, or no such name in the network."""
    missing: tuple[str, ...]
    """Of the network: not loaded."""


def fit_state(model: nn.Module, state: dict[str, Tensor], *, with_head: bool = True) -> Fit:
    """Match tensors by name and shape. A head is loaded whole or not at all."""
    expected = model.state_dict()
    head = parameter_names(model, heads_of(model))

    def fits(name: str) -> bool:
        return name in state and name in expected and state[name].shape == expected[name].shape

    whole = with_head and all(fits(name) for name in head)
    loaded = {name: state[name] for name in expected if fits(name) and (whole or name not in head)}
    return Fit(
        loaded,
        dropped=tuple(name for name in state if name not in loaded),
        missing=tuple(name for name in expected if name not in loaded),
    )


def fit_weights(model: nn.Module, info: ModelInfo, weights: Weights) -> Fit:
    """The fit of weights to a network, which may be on the meta device.

    Raises WeightsError if less than half of the backbone's tensors fit.
    """
    with_head = weights.rows != ()
    state = weights.state | ordered_head(model, weights)
    fit = fit_state(model, state, with_head=with_head)
    head = parameter_names(model, heads_of(model))
    found = sum(name not in head for name in fit.loaded)
    wanted = sum(name not in head for name in model.state_dict())
    if found < LEAST_SHARE * wanted:
        raise WeightsError(
            f"{weights.source} does not hold weights of {info.name}: only {found} of "
            f"{wanted} tensors fit. Give the network's own with --weights, or another --model."
        )
    if info.built_for_size and any(name in weights.state for name in fit.missing):
        return fit_state(model, resampled(model, state), with_head=with_head)
    return fit


def ordered_head(model: nn.Module, weights: Weights) -> dict[str, Tensor]:
    """The head's tensors whose rows are for one class each, in the order of `weights.rows`."""
    if not weights.rows:
        return {}
    layers = [layer for head in heads_of(model) for layer in answering(head)]
    names = parameter_names(model, layers) & weights.state.keys()
    fitting = {name for name in names if len(weights.state[name]) == len(weights.rows)}
    return {name: weights.state[name][list(weights.rows)] for name in fitting}


def resampled(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tables of positions interpolated to the network's size, as timm does for its own weights.

    timm's modules of transformers hold a function of this name for it; where there is none,
    the tables start new.
    """
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    return state if convert is None else convert(dict(state), model)


def load_into(model: nn.Module, info: ModelInfo, weights: Weights) -> str:
    """Load what fits, in place; a sentence about it. Raises WeightsError.

    A head that is not loaded answers zero at first (as in BiT, Kolesnikov et al. 2020,
    arXiv:1912.11370): a random one answers at random with confidence, and an epoch goes into
    unlearning that.
    """
    fit = fit_weights(model, info, weights)
    model.load_state_dict(fit.loaded, strict=False)
    if not parameter_names(model, heads_of(model)) <= fit.loaded.keys():
        for head in heads_of(model):
            silence(head)
    return fit_sentence(model, fit, weights)


@torch.no_grad()
def silence(head: nn.Module) -> None:
    """Set the layers of a head that give its answers to zero.

    Those before them, norms among them, stay: behind zeros nothing would ever learn.
    """
    for layer in answering(head):
        layer.weight.zero_()
        if layer.bias is not None:
            layer.bias.zero_()


def answering(head: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """The layers of a head that have a row for each class; two in some distilled networks."""
    layers = [one for one in head.modules() if isinstance(one, nn.Linear | nn.Conv2d)]
    return [layer for layer in layers if len(layer.weight) == len(layers[-1].weight)]


def fit_sentence(model: nn.Module, fit: Fit, weights: Weights) -> str:
    """`"205 of 207 tensors loaded from FILE; the head for 1000 classes was left out"`."""
    head, expected = parameter_names(model, heads_of(model)), model.state_dict()
    parts = [f"{len(fit.loaded)} of {len(expected)} tensors loaded from {weights.source}"]
    old = [name for name in fit.dropped if name in head]
    if old:
        rows = len(weights.state[old[0]])
        other = "other " if rows == len(expected[old[0]]) else ""
        parts.append(f"the head for {rows} {other}classes was left out")
    elif head & set(fit.missing):
        parts.append("the head starts new")
    fresh = [name for name in fit.missing if name not in head]
    if fresh:
        parts.append(f"{len(fresh)} start new ({some(fresh)})")
    unused = [name for name in fit.dropped if name not in head and name not in fresh]
    if unused:
        parts.append(f"{len(unused)} of the file have no place ({some(unused)})")
    return "; ".join(parts)


def some(names: list[str]) -> str:
    """The first few names."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
