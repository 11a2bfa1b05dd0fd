"""One optimiser step, and one forward-only pass: the trial and the training loop call these."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lacewing.engine.losses import Loss
from lacewing.hardware.switches import without_search

MicroBatch = tuple[Tensor, Tensor]
"""Images float32 [n, 3, S, S] and their labels, on the device: int64 [n], or each class's share
of mixed images, float32 [n, classes]."""
Autocast = Callable[[], AbstractContextManager[Any]]
HAVE_FOREACH = ("cpu", "cuda")
"""Types of devices on which torch copies lists of tensors since its oldest version."""


@dataclass(frozen=True)
class StepResult:
    """What a step measured. The tensors stay on the device: reading them waits for it."""

    loss: Tensor
    """Mean over the step's images, float32, 0-dim."""
    correct: Tensor
    """Images whose highest logit is their label's (the larger part's, if mixed), int64, 0-dim."""
    count: int
    """Images."""
    scaled: bool
    """Whether a loss scaler is in use, which skips the updates of steps that overflow."""


@dataclass(frozen=True)
class Together:
    """What makes the steps of several processes one, between the gradients and the update."""

    images: int
    """Of the step, in all processes."""
    combine: Callable[[StepResult], StepResult]
    """Adds up gradients and results over the processes, before the weights are changed."""


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    loss_fn: Loss,
    micro_batches: Sequence[MicroBatch],
    autocast: Autocast,
    clip_norm: float | None = None,
    together: Together | None = None,
    ready: Callable[[Tensor], Tensor] = lambda images: images,
) -> StepResult:
    """Forward and backward over the micro-batches, then one update of the weights.

    Each micro-batch weighs as its share of the images, so the gradient is that of the mean
    loss over all of them, however they are split (BatchNorm's statistics are per micro-batch).
    `together` makes it one of the steps that several processes do as one. `ready` is what is done
    to a micro-batch's images right before their pass: a copy that it makes lives no longer.
    """
    count = together.images if together else sum(len(labels) for _, labels in micro_batches)
    optimizer.zero_grad(set_to_none=True)
    losses, correct = [], []
    for images, labels in micro_batches:
        with autocast():
            logits = model(ready(images))
        logits = logits.float()  # half-precision logits would cost the loss its digits
        loss = loss_fn(logits, labels) * (len(labels) / count)
        (scaler.scale(loss) if scaler else loss).backward()
        losses.append(loss.detach())
        correct.append((logits.detach().argmax(1) == main_class(labels)).sum())
    result = StepResult(
        torch.stack(losses).sum(), torch.stack(correct).sum(), count, scaler is not None
    )
    if together:
        result = together.combine(result)
    update(optimizer, scaler, clip_norm)
    return result


def main_class(labels: Tensor) -> Tensor:
    """The one class, int64 [n], of labels that may be shares of all classes."""
    return labels if labels.ndim == 1 else labels.argmax(1)


def update(
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    clip_norm: float | None,
) -> None:
    """Clip the gradients to their joint norm if asked, and change the weights."""
    if clip_norm is not None:
        if scaler:
            scaler.unscale_(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, clip_norm)
    if scaler:
        scaler.step(optimizer)
        scaler.update()
    else:
        optimizer.step()


@without_search()
@torch.no_grad()
def eval_step(model: nn.Module, images: Tensor, autocast: Autocast) -> Tensor:
    """Logits float32 [N, classes] of images float32 [N, 3, S, S]; call it in eval mode.

    Under `no_grad`, not `inference_mode`: a network that caches a tensor in its forward pass
    would keep an inference tensor, on which the next training step fails. Without a search for
    algorithms: the last batch of a split is of a size of its own.
    """
    with autocast():
        logits = model(images)
    return logits.float()


def split_batch(images: Tensor, labels: Tensor, micro_batch: int) -> list[MicroBatch]:
    """Views of at most `micro_batch` images each, whose sizes differ by at most one.

    17 images in fours make 4, 4, 3, 3, 3: no lone image is left over, of which BatchNorm
    could make no statistics.
    """
    return split_evenly(images, labels, -(-len(labels) // micro_batch))


def split_evenly(images: Tensor, labels: Tensor, parts: int) -> list[MicroBatch]:
    """Views whose sizes differ by at most one image."""
    return list(zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True))


def norm_buffers(module: nn.Module) -> list[Tensor]:
    """A module's own statistics, which a forward pass in training mode changes: by their names."""
    return [
        buffer
        for name, buffer in module.named_buffers(recurse=False)
        if name.startswith(("running_", "num_batches_tracked"))
    ]


def copy_each(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Copy the second tensor of each pair into the first: on a GPU in a few kernels for all."""
    for targets, sources in alike(pairs):
        if targets[0].device.type in HAVE_FOREACH:
            torch._foreach_copy_(targets, sources)
            continue
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)


def lerp_each(pairs: Iterable[tuple[Tensor, Tensor]], share: float) -> None:
    """Move the first tensor of each pair by a share of the way to the second, likewise."""
    for targets, sources in alike(pairs):
        if targets[0].device.type in HAVE_FOREACH:
            torch._foreach_lerp_(targets, sources, share)
            continue
        for target, source in zip(targets, sources, strict=True):
            target.lerp_(source, share)


def alike(pairs: Iterable[tuple[Tensor, Tensor]]) -> list[tuple[list[Tensor], list[Tensor]]]:
    """The pairs as lists of firsts and of seconds, for each device and type of numbers."""
    groups: dict[tuple[torch.device, torch.dtype], tuple[list[Tensor], list[Tensor]]] = {}
    for target, source in pairs:
        targets, sources = groups.setdefault((target.device, target.dtype), ([], []))
        targets.append(target)
        sources.append(source)
    return list(groups.values())


class NormKeeper:
    """Puts normalisation statistics back after a step that failed half-way, or overflowed.

    The copies are made once; `keep` and `put_back` take none of the device's memory, so the latter
    works when it is exhausted.
    """

    def __init__(self, model: nn.Module) -> None:
        self._owned = [
            (module, buffer, buffer.clone())
            for module in model.modules()
            for buffer in norm_buffers(module)
        ]
        self._changing = [(live, kept) for _, live, kept in self._owned]

    def keep(self) -> None:
        """Remember the statistics as they are now, of modules in training mode: others' stay."""
        self._changing = [(live, kept) for owner, live, kept in self._owned if owner.training]
        copy_each((kept, live) for live, kept in self._changing)

    def put_back(self) -> None:
        """Make them again what they were at the last `keep`, or when they were first copied."""
        copy_each(self._changing)

    def put_back_unless(self, sound: Tensor) -> None:
        """Do so if `sound` (bool, 0-dim, on the device) is False, without waiting for the device.

        All statistics of a type go through one `where`: a network has hundreds of them.
        """
        for lives, kepts in alike(self._changing):
            chosen = torch.where(sound, end_to_end(lives), end_to_end(kepts))
            parts = chosen.split([live.numel() for live in lives])
            shaped = (part.view_as(live) for part, live in zip(parts, lives, strict=True))
            copy_each(zip(lives, shaped, strict=True))


def end_to_end(tensors: list[Tensor]) -> Tensor:
    """The numbers of all tensors in one vector."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
