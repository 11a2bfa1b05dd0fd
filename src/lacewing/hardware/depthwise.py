"""Depthwise convolutions that bf16 slows down on a CPU, computed in fp32 amid the rest in bf16.

oneDNN has a fast bf16 backward pass for depthwise convolutions of 3 x 3 and stride 1 only. For
every other kernel and stride it falls back to one that took 1.2 to 13 times as long as the fp32
pass with both casts on an AMD EPYC (benchmarks/depthwise.py), and such layers then eat up what
bf16 gains in all the others. Forward passes have no such gap.
"""

# ruff: noqa: ARG001 (is_slow has all arguments of torch.conv2d)

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

FAST_KERNEL, FAST_STRIDE = 3, 1


class DepthwiseInFull(TorchFunctionMode):
    """Within it, slow depthwise convolutions that will be differentiated run in fp32.

    What they return has the dtype that it has without. Entered inside of autocast.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Pass every function of torch through, but for those convolutions."""
        kwargs = kwargs or {}
        if func is not torch.conv2d or not is_slow(*args, **kwargs):
            return func(*args, **kwargs)
        return in_full(*args, **kwargs)


def is_slow(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> bool:
    """Whether a call of `torch.conv2d` is one whose backward pass bf16 would slow down."""
    is_depthwise = groups > 1 and weight.shape[1] == 1
    if not is_depthwise or weight.dtype != torch.float32:
        return False
    if not (torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad)):
        return False
    strides = stride if isinstance(stride, tuple | list) else (stride,)
    return max(weight.shape[2:]) > FAST_KERNEL or max(strides) > FAST_STRIDE


def in_full(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The convolution in fp32, its result in autocast's dtype."""
    dtype = torch.get_autocast_dtype("cpu")
    with torch.autocast("cpu", enabled=False):
        return torch.conv2d(input.float(), weight, *args, **kwargs).to(dtype)
