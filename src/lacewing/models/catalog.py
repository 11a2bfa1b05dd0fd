"""The networks by name: a table of classic ones, and everything timm has."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

import timm
from timm.models import is_model, list_pretrained
from torch import nn

from lacewing.errors import ModelError
from lacewing.models.networks import (
    Library,
    original_network,
    timm_settings,
)
from lacewing.models.sizes import sizes_of
from lacewing.models.sources import WeightsState, weights_state
from lacewing.values import nearest

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
COUNTED_ROWS = 60
"""A longer list goes without parameter counts: each needs the network's shape built."""

CLASSIC: dict[str, tuple[Library, str]] = {
    "alexnet": ("torchvision", "alexnet"),
    "convnext": ("timm", "convnext_tiny"),
    "densenet": ("timm", "densenet121"),
    "efficientnet": ("timm", "efficientnet_b0"),
    "efficientnet_lite0": ("timm", "tf_efficientnet_lite0"),
    "efficientnet_lites": ("lacewing", "lites"),
    "fpn": ("lacewing", "fpn"),
    "inception": ("timm", "inception_v3"),
    "mobilenet": ("timm", "mobilenetv2_100"),
    "residual-attention": ("lacewing", "residual-attention"),
    "resnet": ("timm", "resnet50"),
    "resnet18": ("timm", "resnet18"),
    "resnet34": ("timm", "resnet34"),
    "resnet50": ("timm", "resnet50"),
    "resnet101": ("timm", "resnet101"),
    "squeezenet": ("torchvision", "squeezenet1_1"),
    "vgg": ("timm", "vgg16"),
}
"""Classic name -> library and architecture."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What is known of a network before it is built."""

    name: str
    """As it was asked for."""
    architecture: str
    """Its library's name for it; a timm name may have a tag, as in "resnet50.a1_in1k"."""
    library: Library
    mean: tuple[float, float, float]
    """Of the red, green and blue of its inputs, which are first scaled to 0..1."""
    std: tuple[float, float, float]
    interpolation: str
    """bilinear or bicubic."""
    crop_fraction: float
    """See Preprocessing."""
    native_size: int
    """Side of the input in pixels that it was designed for."""
    min_size: int
    """Smallest side in pixels that it accepts."""
    fixed_size: bool
    """Whether it accepts its native size only."""
    size_multiple: int
    """The side must be a multiple of so many pixels."""
    parameters: int
    """With its original head."""
    built_for_size: bool = False
    """Whether it is built for one size, as most transformers are."""


@dataclass(frozen=True)
class ModelRow:
    """A line of the list of networks."""

    name: str
    architecture: str
    library: Library
    parameters: int | None
    """With its original head; None in a long list."""
    weights: WeightsState


@cache
def find_model(name: str) -> ModelInfo:
    """The network of a classic name or a timm name, with or without a tag. Raises ModelError.

    Found once in a process: the network is built for it, without weights.
    """
    library, architecture = look_up(name)
    net = original_network(library, architecture)
    if library == "timm" and not hasattr(net, "get_classifier"):
        raise ModelError(f"{name} is an encoder without a classifier: choose another network.")
    sizes = sizes_of(library, architecture, net)
    settings = timm_settings(architecture) if library == "timm" else None
    return ModelInfo(
        name=name,
        architecture=architecture,
        library=library,
        mean=triple(settings.mean) if settings else IMAGENET_MEAN,
        std=triple(settings.std) if settings else IMAGENET_STD,
        interpolation="bicubic" if settings and settings.interpolation == "bicubic" else "bilinear",
        crop_fraction=settings.crop_pct if settings else 0.875,
        native_size=sizes.native,
        min_size=sizes.smallest,
        fixed_size=sizes.fixed,
        size_multiple=sizes.multiple,
        parameters=count_parameters(net),
        built_for_size=sizes.built,
    )


def triple(values: tuple[float, ...]) -> tuple[float, float, float]:
    """Red, green and blue."""
    red, green, blue = values
    return red, green, blue


def look_up(name: str) -> tuple[Library, str]:
    """Library and architecture of a name. Raises ModelError with the nearest names."""
    if name in CLASSIC:
        return CLASSIC[name]
    base, _, tag = name.partition(".")
    if not is_model(base):
        known = sorted({*CLASSIC, *timm.list_models()})
        hint = nearest(name, known) or ": `lacewing models` lists them."
        raise ModelError(f"There is no network called {name!r}{hint}")
    if tag and name not in (tagged := list_pretrained(f"{base}.*")):
        hint = nearest(name, tagged) or f": give {base} alone."
        raise ModelError(f"timm has no weights called {name!r}{hint}")
    return "timm", name


def list_models(pattern: str | None = None) -> list[ModelRow]:
    """The classic names; with a pattern, the classic and timm names that it matches.

    A pattern without a wildcard matches any name that contains it.
    """
    rows = list(matching(pattern))
    counted = len(rows) <= COUNTED_ROWS
    return [
        ModelRow(
            name=name,
            architecture=architecture,
            library=library,
            parameters=count_parameters(original_network(library, architecture))
            if counted
            else None,
            weights=weights_state(library, architecture),
        )
        for name, (library, architecture) in rows
    ]


def matching(pattern: str | None) -> Iterator[tuple[str, tuple[Library, str]]]:
    """Names with library and architecture; a name that is classic and timm's comes once."""
    if pattern is None:
        yield from CLASSIC.items()
        return
    glob = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    timms: dict[str, tuple[Library, str]] = {name: ("timm", name) for name in timm.list_models()}
    for name, place in ({**timms, **CLASSIC}).items():
        if fnmatchcase(name, glob):
            yield name, place


def count_parameters(net: nn.Module) -> int:
    """Learnt numbers, with the head."""
    return sum(parameter.numel() for parameter in net.parameters())
