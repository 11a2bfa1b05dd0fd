"""A network made ready to run: on its device, in its memory format, compiled if that works."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lacewing.engine.execution import Execution
from lacewing.engine.step import NormKeeper
from lacewing.hardware.switches import is_torch_out_of_memory

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
MEMORY_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")


def prepare_model(model: nn.Module, execution: Execution, device: torch.device) -> nn.Module:
    """The same network, moved to the device and into the memory format."""
    model = model.to(device)
    if execution.memory_format == "channels_last":
        # only here: `.to` with the contiguous format would undo nothing, and copies the weights
        model = model.to(memory_format=torch.channels_last)
    return model


def training_mode(model: nn.Module, freeze_norms: bool) -> None:
    """Put a network into training mode, all but its BatchNorms if their statistics are to stay.

    These then normalise by the statistics they have, while their scales and shifts still learn.
    """
    model.train()
    if freeze_norms:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def to_format(images: Tensor, memory_format: str) -> Tensor:
    """Images [N, 3, S, S] in `contiguous` or `channels_last` order; copied only if needed."""
    return images.contiguous(memory_format=FORMATS[memory_format])


def compile_model(model: nn.Module, mode: str, say: Callable[[str], None]) -> nn.Module:
    """The network itself for mode `off`, else a `CompiledModel` around it."""
    if mode == "off":
        return model
    try:
        # no mode of Inductor: a backend that makes no kernels and only records torch's own
        if mode == "cudagraphs":
            compiled = torch.compile(model, backend=mode)
        else:
            compiled = torch.compile(model, mode=mode)
    except Exception as error:  # no compiler for this Python or system: here it says so at once
        say(failure(error))
        return model
    return CompiledModel(model, compiled, say)


class CompiledModel(nn.Module):
    """Runs the compiled form of a network; goes on with the network itself if that fails.

    `torch.compile` compiles in the first forward pass of each shape, and the backward pass in
    the first backward, long after the call that asked for it. So each new shape in training
    mode is rehearsed here, forward and backward, where a failure can still be caught. Weights
    and buffers are the network's own; an exhausted memory is passed on.
    """

    def __init__(
        self, model: nn.Module, compiled: Callable[[Tensor], Tensor], say: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.model = model
        # in a tuple, so that it is not registered as a second child with the same weights
        self._compiled: tuple[Callable[[Tensor], Tensor]] | None = (compiled,)
        self._say = say
        self._rehearsed: set[tuple[Any, ...]] = set()

    @property
    def is_compiled(self) -> bool:
        """Whether the compiled form is in use: False once it has failed."""
        return self._compiled is not None

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of images [N, 3, S, S]."""
        if self._compiled is None:
            return self.model(images)
        try:
            self._rehearse(self._compiled[0], images)
            return self._compiled[0](images)
        except Exception as error:  # the compiler raises anything at all
            if is_out_of_memory(cause(error)):
                raise
            sentence = failure(error)
        logits = self.model(images)  # an error of the network's own shows here, uncaught
        self._compiled = None
        self._say(sentence)
        return logits

    def _rehearse(self, compiled: Callable[[Tensor], Tensor], images: Tensor) -> None:
        """Compile both passes for this shape and leave no trace: statistics, chance, gradients."""
        key = (images.shape, images.dtype)
        if not self.training or not torch.is_grad_enabled() or key in self._rehearsed:
            return
        statistics = NormKeeper(self.model)
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        try:
            with kept_chance(images.device):
                total = compiled(images).float().sum()
                torch.autograd.grad(total, weights, allow_unused=True)
        finally:
            statistics.put_back()
        self._rehearsed.add(key)


def kept_chance(device: torch.device) -> Any:
    """A context after which the random generators of CPU and device stand as before it."""
    if device.type == "cpu":
        return torch.random.fork_rng(devices=[])
    return torch.random.fork_rng(devices=[device.index or 0], device_type=device.type)


def failure(error: BaseException) -> str:
    """What to say of a compiler's error: its type and its first line."""
    error = cause(error)
    lines = str(error).strip().splitlines() or [""]
    return f"torch.compile failed ({type(error).__name__}: {lines[0][:200]}): going on without it"


def cause(error: BaseException) -> BaseException:
    """What went wrong in the compiler's backend, where the error only says that it did."""
    return getattr(error, "inner_exception", error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it tells of an exhausted memory; the backend's own test is not at hand here."""
    return isinstance(error, MemoryError) or is_torch_out_of_memory(error, MEMORY_PHRASES)
