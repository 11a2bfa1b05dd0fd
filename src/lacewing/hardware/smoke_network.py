"""The small network of the functional test: the operators that drivers have got wrong.

Strided, padded, pointwise and depthwise convolutions, BatchNorm in training and evaluation,
maximum and average pooling, a linear head. Plain functions on a dictionary of tensors:
importing torch's optimisers would cost every start a second.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn import functional

IMAGES, CHANNELS, CLASSES, SIDE = 8, 16, 4, 16
LEARNING_RATE = 0.1
MOMENTUM = 0.3
"""Of BatchNorm's statistics: large, so that two steps move them far."""
STEPS = 2
NORMS = ("first", "second")

Tensors = dict[str, torch.Tensor]
Update = Callable[[list[torch.Tensor], torch.Tensor], None]
"""Backward pass of a loss, and one step of plain gradient descent on the parameters."""


def draw_state(dtype: torch.dtype) -> Tensors:
    """Weights, BatchNorm's statistics and a batch, on the CPU; the same at each call."""
    generator = torch.Generator().manual_seed(2)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    state = {
        "image": draw(IMAGES, 3, SIDE, SIDE),
        "strided.weight": draw(CHANNELS, 3, 3, 3) * 0.2,
        "depthwise.weight": draw(CHANNELS, 1, 3, 3) * 0.3,
        "pointwise.weight": draw(CHANNELS, CHANNELS, 1, 1) * 0.2,
        "linear.weight": draw(CLASSES, CHANNELS) * 0.5,
        "linear.bias": draw(CLASSES) * 0.1,
    }
    for norm in NORMS:
        state[f"{norm}.weight"] = draw(CHANNELS) * 0.1 + 1
        state[f"{norm}.bias"] = draw(CHANNELS) * 0.1
        state[f"{norm}.mean"] = draw(CHANNELS) * 0.1
        state[f"{norm}.variance"] = draw(CHANNELS).abs() + 0.5
    for name in state:
        if name.endswith((".weight", ".bias")):
            state[name].requires_grad_()
    return state


def in_format(state: Tensors, memory_format: torch.memory_format) -> Tensors:
    """The same values, images and convolutions in a memory format; statistics are copied."""
    return {
        name: tensor.detach()
        .clone(memory_format=memory_format if tensor.ndim == 4 else torch.preserve_format)
        .requires_grad_(tensor.requires_grad)
        for name, tensor in state.items()
    }


def logits_of(state: Tensors, training: bool) -> torch.Tensor:
    """Logits [IMAGES, CLASSES]; in training BatchNorm's statistics are updated in place."""
    x = functional.conv2d(state["image"], state["strided.weight"], stride=2, padding=1)
    x = functional.relu(_norm(x, state, "first", training))
    pooled = functional.max_pool2d(x, 3, stride=2, padding=1)
    averaged = functional.avg_pool2d(x, 3, stride=2, padding=1)
    x = functional.conv2d(pooled + averaged, state["depthwise.weight"], padding=1, groups=CHANNELS)
    x = functional.conv2d(x, state["pointwise.weight"])
    x = functional.relu(_norm(x, state, "second", training)).mean((2, 3))
    return functional.linear(x, state["linear.weight"], state["linear.bias"])


def _norm(x: torch.Tensor, state: Tensors, name: str, training: bool) -> torch.Tensor:
    return functional.batch_norm(
        x,
        state[f"{name}.mean"],
        state[f"{name}.variance"],
        state[f"{name}.weight"],
        state[f"{name}.bias"],
        training=training,
        momentum=MOMENTUM,
    )


def loss_of(logits: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against labels that go round."""
    labels = torch.arange(IMAGES, device=logits.device) % CLASSES
    full = logits if logits.dtype == torch.float64 else logits.float()
    return functional.cross_entropy(full, labels)


def descend(parameters: list[torch.Tensor], loss: torch.Tensor) -> None:
    """One step of plain gradient descent."""
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(gradient(parameter), alpha=-LEARNING_RATE)


def gradient(tensor: torch.Tensor) -> torch.Tensor:
    """A parameter's gradient. Raises RuntimeError where the backward pass left none."""
    if tensor.grad is None:
        raise RuntimeError("the backward pass left no gradient")
    return tensor.grad


def results_of(
    state: Tensors, losses: list[torch.Tensor], first: Tensors, logits: torch.Tensor
) -> Tensors:
    """Everything that is compared, by a name that an error message can show.

    `first` holds the gradients of the first step.
    """
    weights = {name: tensor for name, tensor in state.items() if tensor.requires_grad}
    return {
        "the loss": losses[0].detach(),
        "the second loss": losses[1].detach(),
        **{
            f"BatchNorm's running {what}": torch.cat([state[f"{norm}.{what}"] for norm in NORMS])
            for what in ("mean", "variance")
        },
        **{f"the gradient of {name}": tensor for name, tensor in first.items()},
        **{f"the updated {name}": tensor.detach() for name, tensor in weights.items()},
        "the evaluation's logits": logits.detach(),
    }


def run_steps(
    state: Tensors, autocast: Callable[[], AbstractContextManager[Any]], update: Update
) -> Tensors:
    """Two optimiser steps and a pass in evaluation, on the state's own device; it is changed."""
    parameters = [tensor for tensor in state.values() if tensor.requires_grad]
    losses: list[torch.Tensor] = []
    first: Tensors = {}
    for _ in range(STEPS):
        for parameter in parameters:
            parameter.grad = None
        with autocast():
            logits = logits_of(state, training=True)
        losses.append(loss_of(logits))
        update(parameters, losses[-1])
        first = first or {n: gradient(t).clone() for n, t in state.items() if t.requires_grad}
    with torch.no_grad(), autocast():
        logits = logits_of(state, training=False)
    return results_of(state, losses, first, logits)
