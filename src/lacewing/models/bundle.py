"""One .safetensors file with the weights and everything that is needed to use them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lacewing.errors import RunError, WeightsError
from lacewing.models.build import build_model
from lacewing.models.bundle_fields import KEY, VERSION, Bundle, fields_in, parse_bundle
from lacewing.models.catalog import find_model
from lacewing.models.mirrored import Mirrored
from lacewing.models.tensors import load_safe
from lacewing.store.atomic import replacing
from lacewing.store.run import Run

__all__ = [
    "Bundle",
    "add_to_model",
    "load_model",
    "read_bundle_fields",
    "restore_model",
    "save_model",
]


def save_model(
    path: Path, state_dict: dict[str, Tensor], fields: dict[str, Any], framework: str | None = None
) -> None:
    """Write weights and fields: model, classes, class_ids, dropout, preprocessing, mirror, figures.

    `preprocessing` is what `Preprocessing.as_dict` gives; every field is plain JSON. With a
    `framework` ("pt") transformers reads the file too; but of two entries beside the tensors
    safetensors writes either first, and then the same model is not the same bytes.
    """
    record = json.dumps({"version": VERSION, **fields}, ensure_ascii=False)
    named = {} if framework is None else {"format": framework}
    save_file(separate(state_dict), path, metadata={KEY: record, **named})


def add_to_model(path: Path, more: dict[str, Any]) -> None:
    """Add fields to a bundle's file, or replace them. Raises RunError, OSError."""
    state = load_model(path).state
    fields = fields_in(path) or {}
    with replacing(path) as temporary:
        save_model(temporary, state, {**fields, **more})


def separate(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, contiguous, none in another's memory (tied weights twice)."""
    taken: set[int] = set()
    tensors = {}
    for name, tensor in state_dict.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in taken:
            tensor = tensor.clone()
        taken.add(tensor.untyped_storage().data_ptr())
        tensors[name] = tensor
    return tensors


def load_model(path: Path) -> Bundle:
    """Read a bundle, or a run folder's. Raises RunError if there is none or it is damaged."""
    bundle = read_bundle_fields(path)
    return replace(bundle, state=load_safe(bundle.path))


def read_bundle_fields(path: Path) -> Bundle:
    """A bundle without its tensors. Raises RunError."""
    file = Run(path).model if path.is_dir() else path
    if not file.is_file():
        raise RunError(f"There is no trained model at {file}.")
    try:
        fields = fields_in(file)
    except WeightsError as error:
        raise RunError(str(error)) from error
    if fields is None:
        raise RunError(
            f"{file} was not saved by lacewing, so its classes and preprocessing are unknown: "
            f"train from it with --weights."
        )
    return parse_bundle(file, fields)


def restore_model(bundle: Bundle) -> nn.Module:
    """The trained network, on the CPU, in evaluation mode; `Mirrored` where that was chosen.

    Raises RunError, ModelError.
    """
    size = bundle.preprocessing.image_size
    with torch.random.fork_rng(devices=[]):  # its random start must not move the caller's chance
        model = build_model(
            find_model(bundle.model), len(bundle.classes), bundle.dropout, None, size
        )
    try:
        model.load_state_dict(bundle.state)
    except RuntimeError as error:
        raise RunError(
            f"The tensors in {bundle.path} are not those of {bundle.model} as this version of "
            f"its library builds it: use the versions it was trained with."
        ) from error
    return (Mirrored(model) if bundle.mirror else model).eval()
