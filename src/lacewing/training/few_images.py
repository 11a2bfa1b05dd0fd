"""Passes of fewer images than BatchNorm needs, where it makes its statistics of them."""

import torch

from lacewing.engine.norms import is_batchnorm
from lacewing.models.build import new_model
from lacewing.models.catalog import ModelInfo
from lacewing.performance_config import LEAST_BATCH_FOR_BATCHNORM
from lacewing.training.setup import Prepared
from lacewing.values import counted


def few_images_note(prepared: Prepared) -> str | None:
    """What to do where the passes have so few images, though the batch has enough; else None.

    `prepared.config` says by now whether BatchNorm keeps its statistics. Small passes of several
    processes have their statistics in common.
    """
    plan, config, info = prepared.plan, prepared.config, prepared.info
    images = min(plan.batch.value, plan.micro_batch.value * prepared.processes)
    is_few = images < LEAST_BATCH_FOR_BATCHNORM <= plan.batch.value
    if not is_few or config.freeze_norms or not has_batchnorm(info, plan.image_size.value):
        return None
    smaller = "" if info.fixed_size else "a smaller --image-size, "
    # random weights have no statistics worth keeping
    pretrained = "" if prepared.weights is not None else "pretrained weights and "
    return (
        f"BatchNorm makes its statistics of {counted(images, 'image')} at a time: of fewer than "
        f"{LEAST_BATCH_FOR_BATCHNORM} they are mostly chance. Use {smaller}a network without "
        f"BatchNorm such as --model convnext, or {pretrained}--freeze-norms True."
    )


def has_batchnorm(info: ModelInfo, size: int) -> bool:
    """Whether a network has any, without the memory of its weights."""
    with torch.device("meta"):
        network = new_model(info, 2, 0.0, size)
    return any(is_batchnorm(module) for module in network.modules())
