"""The bench set up: the run's own network, optimiser and first images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from lacewing.config import TrainConfig
from lacewing.data.chance import order
from lacewing.data.index import ImageIndex
from lacewing.data.preprocess import Preprocessing
from lacewing.data.train_loader import TrainLoader
from lacewing.hardware.backend import Backend
from lacewing.models.build import build_model, preprocessing_for
from lacewing.models.catalog import ModelInfo
from lacewing.models.weights import Weights
from lacewing.planning.learning import loss_of, optimizer_of
from lacewing.planning.loaders import loading_of, train_loader
from lacewing.planning.norms import keeps_statistics
from lacewing.planning.plan import Plan
from lacewing.planning.rules.loading import has_kernels
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.findings import Varied
from lacewing.planning.trial.sample_store import SPARE_IMAGES, SampleStore
from lacewing.planning.trial.varying import fastest, time_batches, time_kernels

MOST_IMAGES = 32
"""Of the sample on a CPU; larger batches repeat them."""
MOST_IMAGES_OF_GPU = 128
"""The same elsewhere: what varying them takes there goes by the batch more than by the image."""
WARM_UP_IMAGES = 2
"""Of a batch that is made first: pinned memory and kernels are loaded with it."""
AHEAD = 2
"""Batches that threads prepare ahead in the trial, at least."""


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
    prepare_seconds: float
    """Per image once it is decoded, in one of the threads that decode."""
    augment_seconds: float
    """Per image, in the thread that trains."""
    varied: tuple[Varied, ...]
    """By tensor operations and by kernels, where both were tried."""
    open_loader: Callable[[int, int, int], TrainLoader]
    """Takes images, images of a batch and threads: the loader that the run will mostly have."""


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
    classes = len(work.index.classes)
    bench = Bench(
        model=build_model(work.info, classes, config.dropout, work.weights, size),
        make_optimizer=lambda model, kernel: optimizer_of(
            config, model, plan.learning_rate.value, kernel
        ),
        loss=loss_of(config, work.index, backend.torch_device(number)),
        images=sample.images,
        labels=sample.labels,
        backend=backend,
        index=number,
        clock=clock,
        clip_norm=config.clip_norm,
        deterministic=config.deterministic,
        freeze_norms=keeps_statistics(config, work.weights is not None, plan.micro_batch.value),
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
    first = order(config.seed, 0, len(training))
    device = backend.torch_device(number)
    stores: dict[tuple[int, str], tuple[ImageIndex, SampleStore]] = {}

    def loader_of(
        images: int, batch_size: int, workers: int, keep: str, by_kernel: bool = False
    ) -> TrainLoader:
        key = images, keep
        if key not in stores:
            with_spares = training.take(first[: images + SPARE_IMAGES])
            store = SampleStore(with_spares, preprocessing, keep=keep)
            stores[key] = training.take(first[:images]), store
        part, store = stores[key]
        loading = replace(
            loading_of(plan, device),
            workers=workers,
            prefetch=max(workers, AHEAD),
            by_kernel=by_kernel,
        )
        return train_loader(config, part, store, batch_size, loading)

    most = MOST_IMAGES if backend.kind == "cpu" else MOST_IMAGES_OF_GPU
    count = min(plan.batch.value, len(training), most)
    few = min(WARM_UP_IMAGES, count)
    next(loader_of(few, few, 0, "none").epoch(0))
    wait = partial(backend.synchronize, number)
    made = time_batches(loader_of(count, count, 0, "ram"), wait, clock)
    varied = [Varied(by="device", seconds=made.augment_seconds)]
    if plan.augment_on.value == "device" and has_kernels(backend.capabilities):
        by_kernel = partial(loader_of, count, count, 0, "ram", by_kernel=True)
        varied.append(time_kernels(by_kernel, made, wait, clock))
    best = fastest(varied)
    return Sample(
        # a larger sample would be counted in every peak
        made.batch.images[:MOST_IMAGES].clone(),
        made.batch.labels[:MOST_IMAGES].clone(),
        made.decode_seconds,
        made.prepare_seconds,
        augment_seconds=best.seconds or 0.0,
        varied=tuple(varied) if len(varied) > 1 else (),
        open_loader=partial(
            loader_of,
            # a later epoch, of which there are more, if there are any
            keep="none" if plan.pixels.value == "none" or config.epochs == 1 else "ram",
            by_kernel=best.by == "kernel",
        ),
    )
