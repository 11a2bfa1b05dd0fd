"""A forward-only pass over one split: validation, test and prediction call this."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from lacewing.data.batch import Batch
from lacewing.data.eval_loader import EvalLoader
from lacewing.engine.execution import Execution
from lacewing.engine.prepare import to_format
from lacewing.engine.step import eval_step
from lacewing.hardware.backend import Backend
from lacewing.hardware.backends import is_exhausted


def in_halves(compute: Callable[[Tensor], Tensor], images: Tensor, backend: Backend) -> Tensor:
    """`compute(images)`, rows for rows; in halves where all at once exhaust the memory.

    Raises the backend's own error where a single image does not fit.
    """
    try:
        return compute(images)
    except Exception as error:  # each backend has its own type: it tells which is meant
        if len(images) == 1 or not backend.is_out_of_memory(error):
            raise
    # outside the except block: the traceback above held the pass's tensors
    backend.empty_cache()
    return torch.cat([in_halves(compute, half, backend) for half in images.tensor_split(2)])


def loaded_in_halves(loader: EvalLoader, backend: Backend) -> Iterator[Batch]:
    """The loader's batches; half as large from one on that exhausts the memory in loading.

    The loader's `batch_size` stays what it became. Raises the error of a single image's batch.
    """
    done = 0
    while True:
        try:
            for batch in loader.batches(done):
                done += len(batch.rows)
                yield batch
            return
        except Exception as error:
            if loader.batch_size == 1 or not is_exhausted(backend, error):
                raise
        # outside the except block: the traceback above held the batch's tensors
        backend.empty_cache()
        loader.batch_size //= 2


WAITING_BYTES = 2**24
"""Of logits on a device before they are fetched: each time it is waited for."""


class Fetched:
    """Logits on their way to the CPU; those that wait on a device take little of its memory."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []
        self._waiting: list[Tensor] = []
        self._waiting_bytes = 0

    def add(self, scores: Tensor) -> None:
        """Take in a batch's."""
        self._waiting.append(scores)
        self._waiting_bytes += scores.nbytes
        if scores.device.type == "cpu" or self._waiting_bytes >= WAITING_BYTES:
            self.fetch()

    def fetch(self) -> None:
        """Bring all that wait."""
        if self._waiting:
            self.parts.append(torch.cat(self._waiting).cpu())
        self._waiting, self._waiting_bytes = [], 0


def predict_logits(
    model: nn.Module,
    batches: Iterable[Batch],
    backend: Backend,
    execution: Execution,
    on_batch: Callable[[int], None] = lambda _: None,
) -> tuple[Tensor, Tensor]:
    """Logits float32 [n, classes] and labels int64 [n] on the CPU, in the batches' order.

    Leaves the network in the mode it was in. `on_batch` gets the images done so far. A pass that
    exhausts the memory is halved; for loading that does, see `loaded_in_halves`.
    """

    def scores_of(part: Tensor) -> Tensor:
        images = to_format(part, execution.memory_format)
        return eval_step(model, images, lambda: backend.autocast(execution.precision))

    was_training = model.training
    model.eval()
    logits, labels, done = Fetched(), [], 0
    try:
        for batch in batches:
            logits.add(in_halves(scores_of, batch.images, backend))
            labels.append(batch.labels)
            done += len(batch.labels)
            on_batch(done)
        logits.fetch()
    finally:
        model.train(was_training)
    if not done:  # one of several processes may have no image of a small split
        return torch.empty(0, 0), torch.empty(0, dtype=torch.int64)
    return torch.cat(logits.parts), torch.cat(labels).cpu()
