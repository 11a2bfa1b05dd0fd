"""Everything that must survive a restart, and how it is taken apart and put together.

Random numbers are no part of it: every draw is a function of (seed, epoch, sample) or of
(seed, step), so the counters below are enough.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lacewing.data.preprocess import Preprocessing
from lacewing.engine.average import Average
from lacewing.engine.schedules import Schedule

KERNEL_FLAGS = ("foreach", "fused")
"""Settings of an optimiser's groups that belong to the machine, not to the run."""


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
    epoch_seconds: float = 0.0
    """Seconds of the running epoch, in all sessions."""
    epoch_wait_seconds: float = 0.0
    """Of those, in which its steps waited for images."""
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    best_macro_f1: float = -1.0
    """Only where epochs are chosen by it."""
    stale_epochs: int = 0
    """Epochs since the best one."""
    elapsed_seconds: float = 0.0
    """Seconds of training in all sessions."""
    spent_seconds: float = 0.0
    """Seconds of all sessions, each from its command's start."""
    allowed_seconds: float | None = None
    """What the run may spend in all, where a recipe has decided it; None where --budget says so, or
    nothing does."""
    tuning_from: float | None = None
    """How many of those were spent when a recipe's fine-tuning, or the training that it fell back
    on, began; None before."""
    micro_batch: int = 0
    """What recovery from an exhausted memory has left of the plan's; 0 before the first step."""
    overflows: int = 0
    """Steps in a row, up to the newest, whose loss was not finite; a loss scaler skipped them."""
    rollbacks: int = 0
    """How often a loss that was not finite sent the run back."""
    rate_factor: float = 1.0
    """What those have left of the learning rate."""

    def start_epoch(self) -> None:
        """Forget the sums of the epoch before."""
        self.step_in_epoch, self.loss_sum, self.correct, self.images = 0, 0.0, 0, 0
        self.epoch_seconds, self.epoch_wait_seconds = 0.0, 0.0


@dataclass(frozen=True)
class Snapshot:
    """A run at one instant: tensors by name, and plain values."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    plain: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    """The best epoch's weights, where the run folder has no file of them."""
    average: dict[str, Tensor] = field(default_factory=dict)
    """The averaged weights, where an average is kept."""

    @property
    def step(self) -> int:
        """Optimiser steps done at that instant."""
        return int(self.plain["progress"]["step"])

    @property
    def epoch(self) -> int:
        """Epochs finished at that instant."""
        return int(self.plain["progress"]["epoch"])

    @property
    def is_tuning(self) -> bool:
        """Whether a recipe's fine-tuning had begun at that instant."""
        return self.step > 0 or self.plain["progress"].get("tuning_from") is not None

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Of the images that the network was validated on; None in snapshots that lack it."""
        fields = self.plain.get("preprocessing")
        return Preprocessing.from_dict(fields) if fields else None


def capture(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    schedule: Schedule,
    progress: Progress,
    best: dict[str, Tensor] | None = None,
    average: Average | None = None,
    preprocessing: Preprocessing | None = None,
) -> Snapshot:
    """Copy the state to the CPU. `best`, which no later step changes, is not copied."""
    tensors, values, groups = flatten_optimizer(optimizer.state_dict())
    plain = {
        "progress": asdict(progress),
        "optimizer": {"values": values, "groups": groups},
        "schedule": schedule.state_dict(),
        "scaler": scaler.state_dict() if scaler else None,
        "preprocessing": preprocessing.as_dict() if preprocessing else None,
    }
    mean = copied(average.state) if average else {}
    return Snapshot(copied(model.state_dict()), tensors, plain, best or {}, mean)


def restore(
    snapshot: Snapshot,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    schedule: Schedule,
    average: Average | None = None,
) -> Progress:
    """Put a snapshot back and return where the run stood.

    The optimiser keeps the kernel (foreach, fused) that it was made with: the snapshot may
    come from a machine with another one.
    """
    model.load_state_dict(snapshot.model)
    restore_optimizer(snapshot, optimizer)
    schedule.load_state_dict(snapshot.plain["schedule"])
    if scaler and snapshot.plain["scaler"]:
        scaler.load_state_dict(snapshot.plain["scaler"])
    if average:
        average.put_back(snapshot.average)
    return Progress(**snapshot.plain["progress"])


def in_weights_order(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state with each moment laid out in memory as its weight is.

    torch's fused kernels walk through both side by side, so a contiguous moment beside a
    channels_last weight would be applied to the wrong places, without an error.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    for number, weight in zip(numbers, weights, strict=True):
        entries = state["state"].get(number, {})
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                laid_out = torch.empty_like(weight, dtype=value.dtype, device="cpu")
                entries[key] = laid_out.detach().copy_(value)
    return state


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the CPU, which no later step changes."""
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def restore_optimizer(snapshot: Snapshot, optimizer: torch.optim.Optimizer) -> None:
    """Put an optimiser's state and settings back, but for what is the machine's."""
    saved = snapshot.plain["optimizer"]
    state = unflatten_optimizer(snapshot.optimizer, saved["values"], saved["groups"])
    for group, own in zip(state["param_groups"], optimizer.param_groups, strict=True):
        group |= {name: own[name] for name in KERNEL_FLAGS if name in own}
    optimizer.load_state_dict(in_weights_order(state, optimizer))


def flatten_optimizer(
    state: dict[str, Any],
) -> tuple[dict[str, Tensor], dict[str, Any], list[dict[str, Any]]]:
    """An optimiser's state as tensors by name, plain values by name, and plain groups.

    Names are `<parameter>.<key>`, or `group.<group>.<key>` for a tensor among the settings.
    """
    named = {
        f"{parameter}.{key}": value
        for parameter, entries in state["state"].items()
        for key, value in entries.items()
    }
    groups = [dict(group) for group in state["param_groups"]]
    for number, group in enumerate(groups):
        for key in [key for key, value in group.items() if isinstance(value, Tensor)]:
            named[f"group.{number}.{key}"] = group.pop(key)
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    values = {name: value for name, value in named.items() if name not in tensors}
    return copied(tensors), values, groups


def unflatten_optimizer(
    tensors: dict[str, Tensor], values: dict[str, Any], groups: list[dict[str, Any]]
) -> dict[str, Any]:
    """What `flatten_optimizer` took apart; the arguments stay as they are."""
    # JSON knows no tuples; torch wants one for `betas`.
    restored = [
        {
            key: tuple(value) if isinstance(value, list) and key != "params" else value
            for key, value in group.items()
        }
        for group in groups
    ]
    state: dict[int, dict[str, Any]] = {}
    for name, value in [*tensors.items(), *values.items()]:
        owner, key = name.split(".", 1)
        if owner == "group":
            number, key = key.split(".", 1)
            restored[int(number)][key] = value.clone()
        else:
            # a copy: the optimiser changes its state in place, and a snapshot is put back twice
            entry = value.clone() if isinstance(value, Tensor) else value
            state.setdefault(int(owner), {})[key] = entry
    return {"state": state, "param_groups": restored}
