"""A network ready for training: the right classes, dropout before the head, weights."""

import torch
from torch import Tensor, nn

from lacewing.data.preprocess import Preprocessing
from lacewing.errors import ModelError
from lacewing.models.catalog import ModelInfo
from lacewing.models.fit import fit_sentence, fit_weights, load_into
from lacewing.models.networks import create_network, heads_of, parameter_names
from lacewing.models.weights import Weights


def build_model(
    info: ModelInfo, classes: int, dropout: float, weights: Weights | None, image_size: int
) -> nn.Module:
    """A network on the CPU: images float32 [N, 3, image_size, image_size] to logits [N, classes].

    The head is new unless the weights' head has as many classes, and just these where they are
    known (see `for_classes`). `dropout` is the share of features zeroed before the head.
    `describe_fit` says which weights are loaded.
    Raises ModelError for a size that the network refuses, WeightsError for foreign weights.
    """
    model = new_model(info, classes, dropout, image_size)
    if weights is not None:
        load_into(model, info, weights)
    return model


def describe_fit(info: ModelInfo, classes: int, weights: Weights, image_size: int) -> str:
    """What `build_model` loads, in a sentence; takes no memory. Raises what it raises."""
    with torch.device("meta"):
        model = new_model(info, classes, 0.0, image_size)
    return fit_sentence(model, fit_weights(model, info, weights), weights)


def new_model(info: ModelInfo, classes: int, dropout: float, image_size: int) -> nn.Module:
    """A network with random weights. Raises ModelError."""
    check_size(info, image_size)
    built_size = image_size if info.built_for_size else None
    return create_network(info.library, info.architecture, classes, dropout, built_size)


def check_size(info: ModelInfo, image_size: int) -> None:
    """Raises ModelError where the network refuses images of this size."""
    if info.fixed_size and image_size != info.native_size:
        raise ModelError(
            f"{info.name} accepts {info.native_size}-pixel images only, not {image_size}: "
            f"leave --image-size out."
        )
    if image_size < info.min_size:
        raise ModelError(
            f"{info.name} needs images of at least {info.min_size} pixels, not {image_size}."
        )
    if image_size % info.size_multiple:
        raise ModelError(
            f"{info.name} needs an image size that is a multiple of {info.size_multiple}, "
            f"not {image_size}."
        )


def preprocessing_for(info: ModelInfo, image_size: int, weights: Weights | None) -> Preprocessing:
    """How photos become inputs: as the weights were trained, else as the network usually is."""
    return Preprocessing(
        image_size=image_size,
        mean=(weights and weights.mean) or info.mean,
        std=(weights and weights.std) or info.std,
        interpolation=info.interpolation,
        crop_fraction=info.crop_fraction,
    )


def head_parameters(model: nn.Module) -> frozenset[str]:
    """Names of the parameters of the head of a network that `build_model` made."""
    return parameter_names(model, heads_of(model))


def linear_head(model: nn.Module) -> nn.Linear | nn.Conv2d:
    """The one layer between pooled features and logits. Raises ModelError if there is none.

    Some of timm's networks end in two heads, or in a head of several layers.
    """
    heads = heads_of(model)
    if len(heads) != 1 or not isinstance(heads[0], nn.Linear | nn.Conv2d):
        raise ModelError(
            f"{type(model).__name__} does not end in one linear layer, so its features can't be "
            f"used on their own: choose another network."
        )
    return heads[0]


def features(model: nn.Module, images: Tensor) -> Tensor:
    """Pooled features [N, D] before dropout and head, for images float32 [N, 3, S, S].

    Computed in evaluation mode and without gradients, for heads that are trained on frozen
    features; the network is left in its mode. `apply_head` turns them into logits.
    Raises ModelError, see `linear_head`.
    """
    seen: list[Tensor] = []
    hook = linear_head(model).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(images)
    finally:
        hook.remove()
        model.train(was_training)
    return seen[0].flatten(1)


def apply_head(model: nn.Module, features: Tensor) -> Tensor:
    """Logits [N, classes] of pooled features [N, D], without dropout."""
    head = linear_head(model)
    shaped = features[:, :, None, None] if isinstance(head, nn.Conv2d) else features
    return head(shaped).flatten(1)
