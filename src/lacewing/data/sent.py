"""Arrays and tensors on their way to a device."""

import numpy as np
import torch
from torch import Tensor

from lacewing.hardware.cuda_streams import copied_aside


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
    """The same; a CUDA device copies beside what it computes."""
    return copied_aside(tensor, device) if device.type == "cuda" else moved(tensor, device)
