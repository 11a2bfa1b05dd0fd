"""Small arrays on their way to a device."""

import numpy as np
import torch
from torch import Tensor


def sent(array: np.ndarray, to: torch.device | Tensor) -> Tensor:
    """An array as a tensor on a device, or on another tensor's; a CUDA device is not waited for.

    From ordinary memory a copy waits until the device has done all that it was given before.
    """
    device = to.device if isinstance(to, Tensor) else to
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
