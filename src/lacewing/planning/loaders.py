"""The loaders that a plan asks for; the trial and the run open them here."""

from dataclasses import replace

import torch

from lacewing.config import TrainConfig
from lacewing.data.augment import augment_of
from lacewing.data.batch import Loading
from lacewing.data.index import ImageIndex
from lacewing.data.pixels import PixelStore
from lacewing.data.train_loader import TrainLoader
from lacewing.hardware.limits import usable_cores
from lacewing.hardware.ranks import ALONE, Ranks
from lacewing.planning.plan import Plan
from lacewing.planning.rules.loading import decoders


def loading_of(plan: Plan, device: torch.device) -> Loading:
    """The plan's decisions on how batches are prepared."""
    return Loading(
        device=device,
        augment_device=torch.device("cpu") if plan.augment_on.value == "cpu" else device,
        by_kernel=plan.augment_on.value == "kernel",
        workers=plan.workers.value,
        prefetch=plan.prefetch.value,
        pin_memory=plan.pin_memory.value,
    )


def decoding_of(plan: Plan, device: torch.device, processes: int = 1) -> Loading:
    """The same for passes that decode every image, as validation, judging and features do.

    They compute less for each than training, so more threads have something to do. `processes`
    of the host do so at the same time.
    """
    loading = loading_of(plan, device)
    workers = decoders(plan.workers, usable_cores().value // processes)
    return replace(loading, workers=workers, prefetch=max(workers, loading.prefetch))


def train_loader(
    config: TrainConfig,
    index: ImageIndex,
    store: PixelStore,
    batch_size: int,
    loading: Loading,
    ranks: Ranks = ALONE,
    sides: tuple[int, ...] = (),
) -> TrainLoader:
    """An index's images, varied as the configuration says, in the order of its seed.

    sides: of the images in each epoch, where they grow.
    """
    return TrainLoader(
        index,
        store,
        augment_of(config),
        batch_size=batch_size,
        seed=config.seed,
        loading=loading,
        ranks=ranks,
        balance=config.balance,
        sides=sides,
    )


def keep_for_evaluation(plan: Plan) -> str:
    """Where images that are only looked at are kept; few, they stay off the device's memory.

    There a plan says where they are instead; one that is written by hand may not: then in RAM.
    """
    place = plan.pixels.value
    return str(plan.pixels.evidence.get("evaluation", "ram")) if place == "device" else place
