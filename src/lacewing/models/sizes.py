"""Which image sizes a network accepts, found by asking it on the meta device: shapes, no work."""

from dataclasses import dataclass
from math import gcd

import timm
import torch
from torch import nn

from lacewing.models.joined import JOINED
from lacewing.models.networks import Library, timm_settings

TRIED = (32, 64, 75, 96, 128, 192)
"""Sides in pixels that may be a network's smallest; 75 is Inception's."""
REFUSALS = (RuntimeError, AssertionError, ValueError, TypeError, ArithmeticError)
"""What networks raise at a size that they can't take."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sides of the square input in pixels."""

    native: int
    smallest: int
    multiple: int = 1
    fixed: bool = False
    """Whether the native size is the only one."""
    built: bool = False
    """Whether the network must be told its size when it is built."""


def sizes_of(library: Library, architecture: str, net: nn.Module) -> Sizes:
    """The sizes of an architecture; `net` is one of its networks on the meta device."""
    if library != "timm":
        native = 256 if architecture in JOINED else 224
        return free_sizes(net, native, least=TRIED[0])
    settings = timm_settings(architecture)
    native = settings.input_size[-1]
    if settings.fixed_input_size:
        return built_sizes(architecture, net, native)
    least = settings.min_input_size[-1] if settings.min_input_size else TRIED[0]
    return free_sizes(net, native, least)


def free_sizes(net: nn.Module, native: int, least: int) -> Sizes:
    """For a network that takes what it is given, once built."""
    multiple = 1
    if not accepts(net, native + multiple):
        multiple = gcd(native, coarsest_stride(net))
        if multiple == 1 or not accepts(net, native + multiple):
            return Sizes(native=native, smallest=native, fixed=True)
    tried = rounded_up(least, native, multiple)
    return Sizes(
        native=native,
        smallest=next((size for size in tried if accepts(net, size)), native),
        multiple=multiple,
    )


def built_sizes(architecture: str, net: nn.Module, native: int) -> Sizes:
    """For a network, often a transformer, that is built for one size."""

    def works(size: int) -> bool:
        try:
            with torch.device("meta"):
                other = timm.create_model(architecture, img_size=size)
        except REFUSALS:
            return False
        return accepts(other, size)

    multiple = gcd(native, coarsest_stride(net))
    if multiple == 1 or not works(native - multiple):
        return Sizes(native=native, smallest=native, fixed=True)
    tried = rounded_up(TRIED[0], native, multiple)
    smallest = next((size for size in tried if works(size)), native)
    return Sizes(native=native, smallest=smallest, multiple=multiple, built=True)


def accepts(net: nn.Module, size: int) -> bool:
    """Whether a network on the meta device takes images of this size."""
    try:
        with torch.no_grad():
            net(torch.empty(2, 3, size, size, device="meta"))
    except REFUSALS:
        return False
    return True


def takes_one_image(net: nn.Module, size: int) -> bool:
    """Whether a network on the meta device can be trained on one image of this size at a time.

    Where its map is a single pixel before a BatchNorm, that sees one value of each channel, of
    which there is no variance.
    """
    net.train()
    try:
        net(torch.empty(1, 3, size, size, device="meta"))
    except REFUSALS as error:
        return not sees_one_value(error)
    return True


def sees_one_value(error: BaseException) -> bool:
    """Whether that is what torch's BatchNorm says."""
    return isinstance(error, ValueError) and "more than 1 value per channel" in str(error)


def coarsest_stride(net: nn.Module) -> int:
    """Pixels per cell of a timm network's coarsest grid: its multiples are safe."""
    stages = getattr(net, "feature_info", None) or [{"reduction": 32}]
    patch = getattr(getattr(net, "patch_embed", None), "patch_size", 1)
    return max(stages[-1]["reduction"], patch[0] if isinstance(patch, tuple) else patch)


def rounded_up(least: int, native: int, multiple: int) -> list[int]:
    """The sizes to try from `least` on, below the native one, each a multiple."""
    sizes = sorted({-(-max(size, least) // multiple) * multiple for size in TRIED})
    return [size for size in sizes if size < native]
