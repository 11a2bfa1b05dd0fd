"""Tensors from a file, never code: safetensors, or a checkpoint without other objects."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lacewing.errors import WeightsError

NESTS = ("state_dict", "model", "model_state_dict", "net")
"""Keys under which training programs put the weights in their checkpoints."""
PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file, on the CPU, in the file's order. Raises WeightsError."""
    loaded = load_safe(path) if path.suffix == ".safetensors" else load_checkpoint(path)
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors: it is no file of weights.")
    return without_prefixes(tensors)


def load_safe(path: Path) -> dict[str, Tensor]:
    """A .safetensors file."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} can't be read as safetensors ({error}): fetch or save it again."
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A .pth or .pt file; its innermost dictionary of weights."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if "global" not in str(error).lower():
            raise WeightsError(f"{path} is no checkpoint, or a damaged one.") from error
        raise WeightsError(
            f"{path} holds Python objects beside its tensors, which could run code when loaded: "
            f"save it again with torch.save(model.state_dict(), FILE)."
        ) from error
    except Exception as error:  # torch's reader fails on damaged bytes in many ways
        raise WeightsError(f"{path} is no checkpoint, or a damaged one.") from error
    while isinstance(loaded, dict):
        inner = next((loaded[key] for key in NESTS if isinstance(loaded.get(key), dict)), None)
        if inner is None:
            return loaded
        loaded = inner
    raise WeightsError(f"{path} holds no dictionary of tensors: it is no file of weights.")


def without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the prefixes that stand before all of them."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            shorter = {name.removeprefix(prefix): value for name, value in tensors.items()}
            return without_prefixes(shorter)
    return tensors
