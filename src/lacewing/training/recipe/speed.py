"""How fast this machine is: a forward pass and a training step on noise, and decoding."""

import copy
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor, nn

from lacewing.data.index import ImageIndex
from lacewing.data.pixels import load_pixels
from lacewing.data.preprocess import Preprocessing
from lacewing.data.rgb import UnreadableImageError
from lacewing.engine.execution import Execution
from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import OPTIMIZERS, make_optimizer
from lacewing.engine.prepare import prepare_model, to_format, training_mode
from lacewing.engine.step import eval_step, split_batch, train_step
from lacewing.hardware.backend import Backend
from lacewing.hardware.limits import usable_cores
from lacewing.planning.plan import Plan
from lacewing.planning.rules.loading import decoders
from lacewing.planning.trial.forecast import waiting
from lacewing.training.recipe.size import Speed

REPEATS = 3
"""Timed passes, after one that is not: the median counts."""
DECODED = 12
"""Images that are decoded to see how long that takes."""
USUAL_DECODE_SECONDS = 0.004


def forward_speed(
    model: nn.Module, backend: Backend, index: int, execution: Execution, size: int
) -> Speed:
    """Images per second of forward-only passes over images of `size` pixels.

    Where the memory runs out, of half as many at once; raises what a pass of one image raises. The
    network is left in its mode; torch's random generators are not touched.
    """
    was_training = model.training
    model.eval()
    try:
        return passing_speed(model, backend, index, execution, size)
    except Exception as error:  # each backend has its own type: it tells which is meant
        if execution.micro_batch == 1 or not backend.is_out_of_memory(error):
            raise
    finally:
        model.train(was_training)
    # outside the except block: the traceback above held the pass's tensors
    backend.empty_cache()
    smaller = replace(execution, micro_batch=execution.micro_batch // 2)
    return forward_speed(model, backend, index, smaller, size)


def passing_speed(
    model: nn.Module, backend: Backend, index: int, execution: Execution, size: int
) -> Speed:
    """Images per second of passes in evaluation mode. Raises what a pass raises."""
    images = noise(execution.micro_batch, size, backend.torch_device(index))
    images = to_format(images, execution.memory_format)
    seconds = timed(
        lambda: eval_step(model, images, lambda: backend.autocast(execution.precision)),
        lambda: backend.synchronize(index),
    )
    return Speed(size, execution.micro_batch / seconds)


def training_speed(
    model: nn.Module, backend: Backend, index: int, execution: Execution, size: int, batch: int
) -> Speed | None:
    """Images per second of training steps; done on a copy, so the network stays as it is.

    Where the memory runs out, with half the micro-batch; None where no image fits.
    """
    try:
        return rehearsed_speed(model, backend, index, execution, size, batch)
    except Exception as error:  # each backend has its own type: it tells which is meant
        if not backend.is_out_of_memory(error):
            raise
    # outside the except block: the traceback above held the step's tensors
    backend.empty_cache()
    if execution.micro_batch == 1:
        return None
    smaller = replace(execution, micro_batch=execution.micro_batch // 2)
    return training_speed(model, backend, index, smaller, size, batch)


def rehearsed_speed(
    model: nn.Module, backend: Backend, index: int, execution: Execution, size: int, batch: int
) -> Speed:
    """Images per second of steps of `batch` images. Raises what a step raises."""
    device = backend.torch_device(index)
    rehearsed = prepare_model(copy.deepcopy(model), execution, device)
    training_mode(rehearsed, freeze_norms=True)
    adamw, kernel = OPTIMIZERS["adamw"], execution.optimizer_kernel
    kernel = kernel if kernel in adamw.kernels else "plain"
    optimizer = make_optimizer(adamw, rehearsed, 1e-6, 0.0, kernel=kernel)
    images = to_format(noise(batch, size, device), execution.memory_format)
    labels = torch.zeros(batch, dtype=torch.int64, device=device)

    def step() -> None:
        train_step(
            rehearsed,
            optimizer,
            None,
            make_loss(),
            split_batch(images, labels, execution.micro_batch),
            autocast=lambda: backend.autocast(execution.precision),
        )

    with torch.random.fork_rng(devices=[]):
        seconds = timed(step, lambda: backend.synchronize(index))
    return Speed(size, batch / seconds)


def decode_seconds(index: ImageIndex, preprocessing: Preprocessing) -> float:
    """Median seconds in which a thread reads and decodes an image, by some from all over the index.

    Those that can't be read are passed over; of none, `USUAL_DECODE_SECONDS`.
    """
    seconds = []
    for row in range(0, len(index), max(1, len(index) // DECODED)):
        started = time.perf_counter()
        with suppress(OSError, UnreadableImageError):
            load_pixels(index.path(row), preprocessing)
            seconds.append(time.perf_counter() - started)
    return median(seconds) if seconds else USUAL_DECODE_SECONDS


def decoding_adds(plan: Plan, seconds: float) -> float:
    """What so many seconds of decoding in one thread add to a pass that decodes by the plan.

    On a GPU less, where its threads are quicker than the network.
    """
    cores = usable_cores().value
    judges = replace(plan, workers=replace(plan.workers, value=decoders(plan.workers, cores)))
    return waiting(judges, seconds, 0.0, cores)


def timed(work: Callable[[], object], wait: Callable[[], None]) -> float:
    """Median seconds of `work`, whose first call is not counted."""
    seconds = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        work()
        wait()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[1:])[REPEATS // 2]


def noise(images: int, size: int, device: torch.device) -> Tensor:
    """Standard normal pixels float32 [images, 3, size, size], always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(images, 3, size, size, generator=generator).to(device)
