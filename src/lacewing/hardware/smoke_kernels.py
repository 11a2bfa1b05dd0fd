"""The functional test of a device's optimiser kernels: real updates with each, and compare.

A kernel may be taken by the optimiser and have no code for the device (fused on XPU, torch 2.4),
or ignore the loss scaler (fused on MPS). The CPU's are left out: they are torch's reference, and
making an optimiser would cost every start a second.
"""

from collections.abc import Callable, Collection
from functools import partial

import torch

from lacewing.hardware.backend import Backend
from lacewing.hardware.smoke import clause

KINDS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": partial(torch.optim.SGD, momentum=0.9),
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
}
"""Optimisers that have the kernels."""
LEARNING_RATE = 0.1
SHAPES = ((7, 5), (5,))
STEPS = 2
TOLERANCE = 1e-3
"""Largest relative error (L2 norm) of the weights: a right kernel is off by 1e-6."""


def failed_kernels(backend: Backend, index: int, precisions: Collection[str]) -> dict[str, str]:
    """The kernels of its kind that a device gets wrong, and why, a clause.

    `precisions` are those that passed their test: fp16 brings the loss scaler. Raises nothing.
    """
    if backend.kind == "cpu":
        return {}
    scaled = "fp16" in precisions
    found = {kernel: _problem(backend, index, kernel, scaled)
             for kernel in backend.capabilities.optimizer_kernels}  # fmt: skip
    return {kernel: problem for kernel, problem in found.items() if problem is not None}


def _problem(backend: Backend, index: int, kernel: str, scaled: bool) -> str | None:
    """What is wrong with a kernel; None if nothing is, or the memory is full just now."""
    device = backend.torch_device(index)
    for name in KINDS:
        right = updated(name, torch.device("cpu"), torch.float64)
        for scaler in (None, backend.grad_scaler("fp16")) if scaled else (None,):
            try:
                got = updated(name, device, torch.float32, kernel, scaler).cpu().double()
            except Exception as error:  # drivers raise anything at all
                return None if backend.is_out_of_memory(error) else f"{name}: {clause(error)}"
            error_share = float((got - right).norm() / right.norm())
            if not error_share < TOLERANCE:  # or not a number
                under = " under the loss scaler" if scaler else ""
                return f"{name}'s update{under} is wrong"
    return None


def updated(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    kernel: str = "plain",
    scaler: torch.amp.GradScaler | None = None,
) -> torch.Tensor:
    """Weights after two updates; with a scaler also one between them that it has to skip."""
    generator = torch.Generator().manual_seed(3)

    def draw() -> list[torch.Tensor]:
        drawn = [torch.randn(shape, generator=generator) for shape in SHAPES]
        return [tensor.to(device, dtype) for tensor in drawn]

    weights = [tensor.requires_grad_() for tensor in draw()]
    optimizer = KINDS[name](
        weights, lr=LEARNING_RATE, foreach=kernel == "foreach", fused=kernel == "fused"
    )
    gradients = [draw() for _ in range(STEPS)]
    if scaler is not None:
        gradients.insert(1, [torch.full_like(weight, torch.inf) for weight in weights])
    for ones in gradients:
        for weight, gradient in zip(weights, ones, strict=True):
            weight.grad = gradient if scaler is None else scaler.scale(gradient)
        if scaler is None:
            optimizer.step()
            continue
        scaler.step(optimizer)
        scaler.update()
    return torch.cat([weight.detach().flatten() for weight in weights])
