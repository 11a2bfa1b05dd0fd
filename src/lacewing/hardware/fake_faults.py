"""What can be wrong with a fake device: its errors, its faults, and how they come about."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

T = TypeVar("T")


class FakeOutOfMemoryError(RuntimeError):
    """What a fake device raises when its script says that its memory is exhausted."""


class FakeDeviceLostError(RuntimeError):
    """What a fake device raises from the moment its script says that it is gone."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What is wrong with a fake device."""

    find: str | None = None
    """It isn't here, for this reason."""
    precisions: Mapping[str, str] = field(default_factory=dict)
    """Precisions that don't work, and how: "nan" (convolutions give NaN), "wrong" (they are off
    by a half), or anything else: the text of the RuntimeError that autocast raises."""
    channels_last: bool = False
    """Convolutions of images in channels_last are off by a half, in every precision."""
    norms_backward: bool = False
    """BatchNorm of images in channels_last is right forward, and its gradients are off by a half,
    in every precision (as on MPS, pytorch#175189)."""
    frozen_norms: bool = False
    """BatchNorm never updates its running statistics (as on old DirectML)."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """What the fake's clock shows a forward pass to take, by precision or by precision and
    format ("bf16 channels_last"); 0 for others."""
    lost_at: int | None = None
    """The call of `autocast` from which on every call raises FakeDeviceLostError."""


class Scripted(TorchFunctionMode):
    """Moves the fake's clock at each first convolution, and does wrong what the script says."""

    def __init__(self, fake: Any, precision: str) -> None:
        """fake: the FakeBackend that tells of its faults, and whose clock it is."""
        super().__init__()
        self.fake, self.precision, self.is_first = fake, precision, True
        self.call = fake.forward_calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        faults, options = self.fake.faults, kwargs or {}
        if func is functional.batch_norm and faults.frozen_norms:
            images, mean, variance, *rest = args
            return func(images, mean.clone(), variance.clone(), *rest, **options)
        if func is functional.batch_norm and faults.norms_backward and is_last(args[0]):
            spoil_gradient(args[0])
        result = func(*args, **options)
        if func is not functional.conv2d:
            return result
        last = is_last(args[0])
        memory_format = "channels_last" if last else "contiguous"
        if self.is_first:
            by_pair = faults.seconds.get(f"{self.precision} {memory_format}")
            self.fake.now += by_pair or faults.seconds.get(self.precision, 0.0)
            self.is_first = False
            if self.call in self.fake.full_in_backward and result.requires_grad:
                result.register_hook(self._run_out)
        return result * 1.5 if last and faults.channels_last else result

    def _run_out(self, _: torch.Tensor) -> None:
        raise FakeOutOfMemoryError(f"the fake's memory is full in the backward of {self.call}")


def is_last(images: torch.Tensor) -> bool:
    """Whether they lie in channels_last order, and not in contiguous order too."""
    last = images.ndim == 4 and images.is_contiguous(memory_format=torch.channels_last)
    return last and not images.is_contiguous()


def spoil_gradient(images: torch.Tensor) -> None:
    """Make their gradient, where one will be computed, off by a half."""
    if images.requires_grad:
        images.register_hook(lambda gradient: gradient * 1.5)


class WrongConvolutions(TorchFunctionMode):
    """Multiplies the result of every convolution by a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        return result * self.factor if func is functional.conv2d else result


def running_out(calls: Collection[int], function: Callable[..., T]) -> Callable[..., T]:
    """The function, which raises the fake's own error at these of its calls, counted from 1."""
    numbers = count(1)

    def scripted(*args: Any, **options: Any) -> T:
        number = next(numbers)
        if number in calls:
            raise FakeOutOfMemoryError(f"the fake's memory is full at call {number}")
        return function(*args, **options)

    return scripted
