"""Arrays and tensors on their way to a device."""

from functools import cache

import numpy as np
import torch
from torch import Tensor


def sent(array: np.ndarray, to: torch.device | Tensor) -> Tensor:
    """An array as a tensor on a device, or on another tensor's; a CUDA device is not waited for.

    From ordinary memory a copy waits until the device has done all that it was given before.
    """
    device = to.device if isinstance(to, Tensor) else to
    tensor = torch.from_numpy(array)
    return moved(tensor.pin_memory() if device.type == "cuda" else tensor, device)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; only CUDA is not waited for.

    CUDA keeps what it still has to copy. MPS may read it after it was freed, and copy what else
    is there by then (github.com/pytorch/pytorch/issues/139550).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def moved_aside(tensor: Tensor, device: torch.device) -> Tensor:
    """`moved`, on CUDA by a stream of its own: the copy runs beside what computes already.

    The current stream waits for it before it goes on to what it is given next.
    """
    if device.type != "cuda":
        return moved(tensor, device)
    aside, current = copy_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(aside):
        there = moved(tensor, device)
    current.wait_stream(aside)
    there.record_stream(current)  # its memory is not the copying stream's again before that is done
    return there


@cache
def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream on which this process's images are copied to a CUDA device."""
    return torch.cuda.Stream(device)
