"""Networks from the three libraries, made alike: classes, dropout before the head, one head."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import timm
import torch
from timm.models import PretrainedCfg, get_pretrained_cfg
from torch import nn
from torchvision.models import AlexNet, SqueezeNet

from lacewing.models.fpn import FeaturePyramid
from lacewing.models.joined import JOINED, Joined
from lacewing.models.residual_attention import ResidualAttention

Library = Literal["timm", "torchvision", "lacewing"]


def alexnet(classes: int, dropout: float) -> AlexNet:
    """torchvision's AlexNet (arXiv:1404.5997); both of its dropouts have the asked share."""
    return AlexNet(num_classes=classes, dropout=dropout)


def squeezenet(classes: int, dropout: float) -> SqueezeNet:
    """torchvision's SqueezeNet 1.1 (arXiv:1602.07360) with a linear head.

    The original ends in a 1x1 convolution, a ReLU and the pooling. The ReLU leaves a class
    whose score is negative without any gradient, and without it pooling and convolution
    commute: so the features are pooled first, and the convolution is a linear layer.
    """
    net = SqueezeNet(version="1_1", num_classes=classes)
    head = nn.Linear(512, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    net.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), head)
    return net


OWN: dict[str, Callable[[int, float], nn.Module]] = {
    "alexnet": alexnet,
    "squeezenet1_1": squeezenet,
    "fpn": FeaturePyramid,
    "residual-attention": ResidualAttention,
    **{name: partial(Joined, members) for name, members in JOINED.items()},
}
"""Architectures that are not timm's."""


def create_network(
    library: Library, architecture: str, classes: int, dropout: float, built_size: int | None
) -> nn.Module:
    """A network with new weights: images float32 [N, 3, S, S] to logits [N, classes].

    `built_size` is S in pixels where the network is built for one size, else None. Made on
    torch's current default device, so on "meta" it takes no memory.
    """
    if library != "timm":
        return OWN[architecture](classes, dropout)
    sized: dict[str, Any] = {} if built_size is None else {"img_size": built_size}
    return timm.create_model(architecture, num_classes=classes, drop_rate=dropout, **sized)


def original_network(library: Library, architecture: str) -> nn.Module:
    """The network as published, with its own head, on the meta device: shapes and no memory."""
    with torch.device("meta"):
        if library == "timm":
            return timm.create_model(architecture)
        return OWN[architecture](1000, 0.0)


def timm_settings(architecture: str) -> PretrainedCfg:
    """What timm knows of an architecture's weights, for its default tag or the one named."""
    return get_pretrained_cfg(architecture) or PretrainedCfg()


def heads_of(model: nn.Module) -> list[nn.Module]:
    """The layers that turn features into logits: one, or two in some distilled networks."""
    if isinstance(model, AlexNet | SqueezeNet):
        return [model.classifier[-1]]
    if isinstance(model, FeaturePyramid | Joined | ResidualAttention):
        return [model.head]
    heads = model.get_classifier()  # type: ignore[operator]
    return list(heads) if isinstance(heads, tuple | list) else [heads]


def parameter_names(model: nn.Module, parts: Sequence[nn.Module]) -> frozenset[str]:
    """Names, within a network, of the parameters of some of its layers."""
    inside = {id(parameter) for part in parts for parameter in part.parameters()}
    return frozenset(name for name, value in model.named_parameters() if id(value) in inside)
