"""CUDA's streams and current device, where more than a backend's calls is needed."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import torch
from torch import Tensor


def copied_aside(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a CUDA device, copied by a stream of its own beside what computes already.

    The current stream waits for it before it goes on to what it is given next. From page-locked
    memory the copy is not waited for.
    """
    aside, current = copy_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(aside):
        there = tensor.to(device, non_blocking=True)
    current.wait_stream(aside)
    there.record_stream(current)  # its memory is not the copying stream's again before that is done
    return there


@cache
def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream on which this process's images are copied to a CUDA device."""
    return torch.cuda.Stream(device)


def current_device_of(tensor: Tensor) -> AbstractContextManager[Any]:
    """Makes a tensor's CUDA device the current one, on which Triton launches; else does nothing."""
    return torch.cuda.device_of(tensor)
