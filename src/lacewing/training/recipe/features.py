"""The feature pass: every image once through the frozen network, in one view or two."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lacewing.data.batch import Batch
from lacewing.data.eval_loader import EvalLoader
from lacewing.engine.execution import Execution
from lacewing.engine.inference import in_halves, loaded_in_halves
from lacewing.engine.prepare import to_format
from lacewing.hardware.backend import Backend
from lacewing.models.build import features


@dataclass(frozen=True)
class Features:
    """What the network says of some images before its head."""

    values: Tensor
    """float32 [views, n, D], on the CPU: as it is, and mirrored."""
    labels: Tensor
    """int64 [n]."""

    def first(self, images: int) -> "Features":
        """Those of the first so many images."""
        return Features(self.values[:, :images], self.labels[:images])

    @property
    def rows(self) -> Tensor:
        """All views below each other, [views * n, D]."""
        return self.values.flatten(0, 1)

    @property
    def row_labels(self) -> Tensor:
        """The labels of `rows`, [views * n]."""
        return self.labels.repeat(len(self.values))


def feature_pass(
    model: nn.Module,
    batches: EvalLoader,
    backend: Backend,
    execution: Execution,
    views: int,
    deadline: float,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Features:
    """Features of the batches' images, in their order; of the first ones if time runs out.

    `deadline` is on the clock of `time.perf_counter`; one batch is always done. `on_batch`
    gets the images done so far. Raises ModelError for a network without one linear head.
    """
    values: list[Tensor] = []
    labels: list[Tensor] = []
    for batch in loaded_in_halves(batches, backend):
        values.append(views_of(model, batch, backend, execution, views))
        labels.append(batch.labels.cpu())
        on_batch(sum(len(part) for part in labels))
        if time.perf_counter() > deadline:
            break
    return Features(torch.cat(values, dim=1), torch.cat(labels))


def views_of(
    model: nn.Module, batch: Batch, backend: Backend, execution: Execution, views: int
) -> Tensor:
    """Features float32 [views, n, D] of one batch, on the CPU."""

    def as_it_is(part: Tensor) -> Tensor:
        images = to_format(part, execution.memory_format)
        return features_of(model, images, backend, execution)

    def mirrored(part: Tensor) -> Tensor:
        return as_it_is(part.flip(3))

    seen = (in_halves(view, batch.images, backend) for view in (as_it_is, mirrored)[:views])
    return torch.stack([found.float().cpu() for found in seen])


def features_of(model: nn.Module, images: Tensor, backend: Backend, execution: Execution) -> Tensor:
    """Features [n, D] of images in the execution's format, in its precision; in full precision
    where they are no numbers in that: fp16 ends at 65,504."""
    with backend.autocast(execution.precision):
        found = features(model, images)
    if execution.precision == "fp32" or bool(found.isfinite().all()):
        return found
    return features_of(model, images, backend, replace(execution, precision="fp32"))
