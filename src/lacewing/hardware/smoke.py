"""The functional test of one device: train a tiny network for one step, and compare.

Whatever the driver promises, a device is used in a precision only after one real step in
it: convolution, BatchNorm, ReLU, a linear layer, loss, backward pass and an optimiser
step. Loss, gradients, BatchNorm's running statistics and the new weights must be finite
and close to the same step on the CPU in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch.nn import functional

from lacewing.hardware.backend import Backend

IMAGES, CHANNELS, CLASSES, SIDE = 8, 16, 4, 16
LEARNING_RATE = 0.1
TOLERANCES = {"fp32": 2e-3, "tf32": 0.05, "bf16": 0.25, "fp16": 0.05}
"""Largest relative error (L2 norm) of any result, several times what a correct device shows.

On a CPU: 0.08 in bf16, 0.0007 in fp16. A wrong kernel is off by 1 or so."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class SmokeResult:
    """Precisions that passed, and for each other candidate why it didn't."""

    passed: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)


def smoke_test(
    backend: Backend, index: int, prepare: Callable[[str], None] | None = None
) -> SmokeResult:
    """Test every candidate precision of a device; raises nothing, whatever the device does.

    `prepare(precision)` is called before each, to set process-wide switches.
    """
    passed: list[str] = []
    failed: dict[str, str] = {}
    try:
        candidates = backend.candidate_precisions(index)
    except Exception as error:
        return SmokeResult(failed={"fp32": _clause(error)})
    for precision in candidates:
        try:
            if prepare is not None:
                prepare(precision)
            problem = _check(backend, index, precision)
        except Exception as error:  # drivers raise anything at all
            full = backend.is_out_of_memory(error)
            problem = "its memory is full" if full else _clause(error)
        if problem is None:
            passed.append(precision)
        else:
            failed[precision] = problem
    return SmokeResult(tuple(passed), failed)


def _check(backend: Backend, index: int, precision: str) -> str | None:
    """One step on the device against the same step in float64; None if they agree."""
    expected = _reference()
    measured = _step(backend, index, precision)
    for name, right in expected.items():
        got = measured[name].double()
        if not torch.isfinite(got).all():
            return f"{name} is not finite"
        error = float((got - right).norm() / right.norm())
        if error > TOLERANCES[precision]:
            return f"{name} is wrong by {error:.0%} of its size"
    return None


def _reference() -> Tensors:
    """The step's results on the CPU in float64."""
    state = _state(torch.float64)
    loss = _loss(state)
    loss.backward()
    with torch.no_grad():
        updated = {
            name: tensor - LEARNING_RATE * _gradient(tensor)
            for name, tensor in state.items()
            if tensor.requires_grad
        }
    return _results(state, loss, updated)


def _step(backend: Backend, index: int, precision: str) -> Tensors:
    """The step's results on the device, as the training loop would compute them."""
    device = backend.torch_device(index)
    state = {
        name: tensor.detach().to(device).requires_grad_(tensor.requires_grad)
        for name, tensor in _state(torch.float32).items()
    }
    parameters = {name: tensor for name, tensor in state.items() if tensor.requires_grad}
    with backend.autocast(precision):
        loss = _loss(state)
    _update(list(parameters.values()), loss, backend.grad_scaler(precision))
    backend.synchronize(index)
    return {name: result.cpu() for name, result in _results(state, loss, parameters).items()}


def _update(
    parameters: list[torch.Tensor], loss: torch.Tensor, scaler: torch.amp.GradScaler | None
) -> None:
    """Backward pass and one step of plain gradient descent, through the scaler if there is one."""
    if scaler is None:
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                # what SGD does, without the second that importing torch's optimisers takes
                parameter.add_(_gradient(parameter), alpha=-LEARNING_RATE)
        return
    # the plain kernel, which every device has
    optimizer = torch.optim.SGD(parameters, lr=LEARNING_RATE, foreach=False)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()


def _state(dtype: torch.dtype) -> Tensors:
    """Weights, BatchNorm's statistics and a batch, on the CPU; the same at each call."""
    generator = torch.Generator().manual_seed(2)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    state = {
        "image": draw(IMAGES, 3, SIDE, SIDE),
        "conv.weight": draw(CHANNELS, 3, 3, 3) * 0.2,
        "depthwise.weight": draw(CHANNELS, 1, 3, 3) * 0.3,
        "norm.weight": draw(CHANNELS) * 0.1 + 1,
        "norm.bias": draw(CHANNELS) * 0.1,
        "norm.mean": draw(CHANNELS) * 0.1,
        "norm.variance": draw(CHANNELS).abs() + 0.5,
        "linear.weight": draw(CLASSES, CHANNELS) * 0.5,
        "linear.bias": draw(CLASSES) * 0.1,
    }
    for name in state:
        if name.endswith((".weight", ".bias")):
            state[name].requires_grad_()
    return state


def _loss(state: Tensors) -> torch.Tensor:
    """The network's cross-entropy on its batch; updates BatchNorm's statistics in place."""
    x = functional.conv2d(state["image"], state["conv.weight"], stride=2, padding=1)
    x = functional.conv2d(x, state["depthwise.weight"], padding=1, groups=CHANNELS)
    x = functional.batch_norm(
        x,
        state["norm.mean"],
        state["norm.variance"],
        state["norm.weight"],
        state["norm.bias"],
        training=True,
    )
    x = functional.relu(x).mean((2, 3))
    logits = functional.linear(x, state["linear.weight"], state["linear.bias"])
    labels = torch.arange(IMAGES, device=logits.device) % CLASSES
    return functional.cross_entropy(logits, labels)


def _results(state: Tensors, loss: torch.Tensor, updated: Tensors) -> Tensors:
    """Everything that is compared, by a name that an error message can show."""
    return {
        "the loss": loss.detach(),
        "BatchNorm's running mean": state["norm.mean"],
        "BatchNorm's running variance": state["norm.variance"],
        **{f"the gradient of {name}": _gradient(state[name]) for name in updated},
        **{f"the updated {name}": tensor.detach() for name, tensor in updated.items()},
    }


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.grad is None:
        raise RuntimeError("the backward pass left no gradient")
    return tensor.grad


def _clause(error: Exception) -> str:
    """The first line of an error, fit for a table."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
