"""Everything that must survive a restart, and how it is taken apart and put together.

Random numbers are no part of it: every draw is a function of (seed, epoch, sample) or of
(seed, step), so the counters below are enough.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lacewing.engine.schedules import Schedule


@dataclass
class Progress:
    """Where a run stands. Plain values."""

    epoch: int = 0
    """Epochs finished."""
    step: int = 0
    """Optimiser steps done in all."""
    step_in_epoch: int = 0
    """Steps done in the running epoch."""
    loss_sum: float = 0.0
    """Sum over the running epoch's images of the training loss."""
    correct: int = 0
    images: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    stale_epochs: int = 0
    """Epochs since the best one."""
    elapsed_seconds: float = 0.0
    """Seconds of training in all sessions."""
    micro_batch: int = 0
    """What recovery from an exhausted memory has left of the plan's; 0 before the first step."""

    def start_epoch(self) -> None:
        """Forget the sums of the epoch before."""
        self.step_in_epoch, self.loss_sum, self.correct, self.images = 0, 0.0, 0, 0


@dataclass(frozen=True)
class Snapshot:
    """A run at one instant: tensors by name, and plain values."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    plain: dict[str, Any] = field(default_factory=dict)


def capture(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    schedule: Schedule,
    progress: Progress,
) -> Snapshot:
    """Copy the state to the CPU."""
    tensors, values, groups = flatten_optimizer(optimizer.state_dict())
    plain = {
        "progress": asdict(progress),
        "optimizer": {"values": values, "groups": groups},
        "schedule": schedule.state_dict(),
        "scaler": scaler.state_dict() if scaler else None,
    }
    return Snapshot(copied(model.state_dict()), tensors, plain)


def restore(
    snapshot: Snapshot,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    schedule: Schedule,
) -> Progress:
    """Put a snapshot back and return where the run stood."""
    model.load_state_dict(snapshot.model)
    saved = snapshot.plain["optimizer"]
    optimizer.load_state_dict(
        unflatten_optimizer(snapshot.optimizer, saved["values"], saved["groups"])
    )
    schedule.load_state_dict(snapshot.plain["schedule"])
    if scaler and snapshot.plain["scaler"]:
        scaler.load_state_dict(snapshot.plain["scaler"])
    return Progress(**snapshot.plain["progress"])


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the CPU, which no later step changes."""
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def flatten_optimizer(
    state: dict[str, Any],
) -> tuple[dict[str, Tensor], dict[str, Any], list[dict[str, Any]]]:
    """An optimiser's state as tensors named `<parameter>.<key>`, plain values, and groups."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for parameter, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{parameter}.{key}"] = value
            else:
                values[f"{parameter}.{key}"] = value
    return copied(tensors), values, state["param_groups"]


def unflatten_optimizer(
    tensors: dict[str, Tensor], values: dict[str, Any], groups: list[dict[str, Any]]
) -> dict[str, Any]:
    """What `flatten_optimizer` took apart."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in [*tensors.items(), *values.items()]:
        parameter, key = name.split(".", 1)
        state.setdefault(int(parameter), {})[key] = value
    # JSON knows no tuples; torch wants one for `betas`.
    restored = [
        {
            key: tuple(value) if isinstance(value, list) and key != "params" else value
            for key, value in group.items()
        }
        for group in groups
    ]
    return {"state": state, "param_groups": restored}
