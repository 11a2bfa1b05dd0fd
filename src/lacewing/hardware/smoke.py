"""The functional test of one device: train a small network, and compare.

Whatever the driver promises, a device is used in a precision and a memory format only after
two real steps in them. Losses, gradients, BatchNorm's running statistics, the new weights and
the logits in evaluation must be finite and close to the same on the CPU in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch

from lacewing.hardware.backend import Backend
from lacewing.hardware.smoke_network import (
    LEARNING_RATE,
    Tensors,
    descend,
    draw_state,
    in_format,
    run_steps,
)
from lacewing.hardware.switches import autocast as no_autocast

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
TOLERANCES = {"fp32": 2e-3, "tf32": 0.05, "bf16": 0.25, "fp16": 0.05}
"""Largest relative error (L2 norm) of any result, several times what a correct device shows.

On a CPU: 0.08 in bf16, 0.0007 in fp16. A wrong kernel is off by 1 or so."""
FULL = "its memory is full"
"""A reason for which a device fails that says nothing of how it computes."""


@dataclass(frozen=True)
class SmokeResult:
    """Precisions that passed, and for each other candidate why it didn't."""

    passed: tuple[str, ...] = ()
    """Precisions that are right in contiguous format, which every plan can fall back to."""
    failed: dict[str, str] = field(default_factory=dict)
    """Reasons by precision, or by precision and format: "bf16 channels_last"."""
    pairs: tuple[str, ...] = ()
    """Every pair of precision and format that passed: "fp32 contiguous"."""


def smoke_test(
    backend: Backend, index: int, prepare: Callable[[str], None] | None = None
) -> SmokeResult:
    """Test every candidate precision of a device in each format that its kind may use.

    Raises nothing, whatever the device does. `prepare(precision)` is called before each
    precision, to set process-wide switches.
    """
    passed: list[str] = []
    pairs: list[str] = []
    failed: dict[str, str] = {}
    try:
        candidates = backend.candidate_precisions(index)
    except Exception as error:
        return SmokeResult(failed={"fp32": clause(error)})
    expected = reference()
    for precision in candidates:
        problem = _prepared(backend, precision, prepare)
        for memory_format in backend.capabilities.memory_formats:
            pair = f"{precision} {memory_format}"
            found = problem or _problem(backend, index, precision, memory_format, expected)
            if found is None:
                pairs.append(pair)
            elif memory_format != "contiguous":
                failed[pair] = found
            else:
                failed[precision] = found
                break
        if f"{precision} contiguous" in pairs:
            passed.append(precision)
    return SmokeResult(tuple(passed), failed, tuple(pairs))


def still_works(backend: Backend, index: int) -> bool:
    """Whether a device passes its test in some precision, or has no memory for it just now."""
    found = smoke_test(backend, index)
    return bool(found.passed) or FULL in found.failed.values()


def _prepared(
    backend: Backend, precision: str, prepare: Callable[[str], None] | None
) -> str | None:
    """Set the switches of a precision; None, or why that failed."""
    if prepare is None:
        return None
    try:
        prepare(precision)
    except Exception as error:  # drivers raise anything at all
        return FULL if backend.is_out_of_memory(error) else clause(error)
    return None


def _problem(
    backend: Backend, index: int, precision: str, memory_format: str, expected: Tensors
) -> str | None:
    """What is wrong with a device in a precision and format, a clause; None if nothing is."""
    try:
        measured = on_device(backend, index, precision, memory_format)
    except Exception as error:  # drivers raise anything at all
        return FULL if backend.is_out_of_memory(error) else clause(error)
    for name, right in expected.items():
        got = measured[name].double()
        if not torch.isfinite(got).all():
            return f"{name} is not finite"
        error_share = float((got - right).norm() / right.norm())
        if error_share > TOLERANCES[precision]:
            return f"{name} is wrong by {error_share:.0%} of its size"
    return None


def reference() -> Tensors:
    """The results on the CPU in float64."""
    return run_steps(draw_state(torch.float64), lambda: no_autocast("cpu", "fp32"), descend)


def on_device(backend: Backend, index: int, precision: str, memory_format: str) -> Tensors:
    """The results on the device, as the training loop would compute them; on the CPU."""
    device = backend.torch_device(index)
    moved = {
        name: tensor.detach().to(device).requires_grad_(tensor.requires_grad)
        for name, tensor in draw_state(torch.float32).items()
    }
    state = in_format(moved, FORMATS[memory_format])
    scaler = backend.grad_scaler(precision)
    update = descend if scaler is None else partial(_scaled_descend, scaler)
    results = run_steps(state, lambda: backend.autocast(precision), update)
    backend.synchronize(index)
    return {name: result.cpu() for name, result in results.items()}


def _scaled_descend(
    scaler: torch.amp.GradScaler, parameters: list[torch.Tensor], loss: torch.Tensor
) -> None:
    """One step of gradient descent through a loss scaler; gradients are left unscaled."""
    # the plain kernel, which every device has
    optimizer = torch.optim.SGD(parameters, lr=LEARNING_RATE, foreach=False)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()


def clause(error: Exception) -> str:
    """The first line of an error, fit for a table."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
