"""A forward-only pass over one split."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from lacewing.data.loader import Batch
from lacewing.engine.step import eval_step


def predict_logits(
    model: nn.Module,
    batches: Iterable[Batch],
    autocast: Callable[[], AbstractContextManager[Any]],
    on_batch: Callable[[int], None] = lambda images: None,
) -> tuple[Tensor, Tensor]:
    """Logits float32 [n, classes] and labels int64 [n] on the CPU, in the batches' order.

    Leaves the network in the mode it was in. `on_batch` gets the images done so far.
    """
    was_training = model.training
    model.eval()
    logits, labels, done = [], [], 0
    try:
        for batch in batches:
            logits.append(eval_step(model, batch.images, autocast).cpu())
            labels.append(batch.labels.cpu())
            done += len(batch.labels)
            on_batch(done)
    finally:
        model.train(was_training)
    return torch.cat(logits), torch.cat(labels)
