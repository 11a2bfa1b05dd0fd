"""The bench set up: the run's own network, optimiser and first images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lacewing.config import TrainConfig
from lacewing.data.augment import augment_of
from lacewing.data.chance import order
from lacewing.data.index import ImageIndex
from lacewing.data.loader import Loading, TrainLoader
from lacewing.data.pixels import PixelStore
from lacewing.data.preprocess import Preprocessing
from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import find_optimizer, make_optimizer
from lacewing.hardware.backend import Backend
from lacewing.models.build import build_model, preprocessing_for
from lacewing.models.catalog import ModelInfo
from lacewing.models.weights import Weights
from lacewing.planning.plan import Plan
from lacewing.planning.trial.bench import Bench

MOST_IMAGES = 32
"""Decoded for the trial; larger batches repeat them."""


@dataclass(frozen=True)
class Work:
    """What is to be trained on what."""

    index: ImageIndex
    info: ModelInfo
    weights: Weights | None


@dataclass(frozen=True)
class Sample:
    """Real images on the device, and what preparing them took."""

    images: Tensor
    """float32 [N, 3, S, S]."""
    labels: Tensor
    """int64 [N], or each class's share of mixed images, float32 [N, classes]."""
    decode_seconds: float
    """Per image, in one thread."""
    augment_seconds: float
    """Per image, in the thread that trains."""


def set_up(
    plan: Plan,
    config: TrainConfig,
    work: Work,
    backend: Backend,
    number: int,
    clock: Callable[[], float],
) -> tuple[Bench, Sample]:
    """The bench, with images on it. Raises what building and decoding raise."""
    size = plan.image_size.value
    preprocessing = preprocessing_for(work.info, size, work.weights)
    sample = draw_sample(plan, config, work.index, preprocessing, backend, number, clock)
    optimizer = find_optimizer(config.optimizer)
    classes = len(work.index.classes)
    bench = Bench(
        model=build_model(work.info, classes, config.dropout, work.weights, size),
        make_optimizer=lambda model, kernel: make_optimizer(
            optimizer,
            model,
            learning_rate=plan.learning_rate.value,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            nesterov=config.nesterov,
            kernel=kernel,
        ),
        loss=make_loss(config.label_smoothing),
        images=sample.images,
        labels=sample.labels,
        backend=backend,
        index=number,
        clock=clock,
        clip_norm=config.clip_norm,
        deterministic=config.deterministic,
    )
    return bench, sample


def draw_sample(
    plan: Plan,
    config: TrainConfig,
    index: ImageIndex,
    preprocessing: Preprocessing,
    backend: Backend,
    number: int,
    clock: Callable[[], float],
) -> Sample:
    """The first images of the first epoch, through the loader that training uses."""
    training = index.split("train")
    count = min(plan.batch.value, len(training), MOST_IMAGES)
    part = training.take(order(config.seed, 0, len(training))[:count])
    device = backend.torch_device(number)
    on_device = plan.augment_on.value == "device"
    loader = TrainLoader(
        part,
        PixelStore(part, preprocessing, keep="ram"),
        augment_of(config),
        batch_size=count,
        seed=config.seed,
        loading=Loading(
            device=device, augment_device=device if on_device else torch.device("cpu"), workers=0
        ),
    )
    times = []
    # decoded and augmented in the first epoch; augmented only in the next two
    for epoch in range(3):
        started = clock()
        batch = next(loader.epoch(epoch))
        backend.synchronize(number)
        times.append(clock() - started)
    augmenting = min(times[1:])
    return Sample(
        batch.images,
        batch.labels,
        decode_seconds=max(0.0, times[0] - augmenting) / count,
        augment_seconds=augmenting / count,
    )
