"""Passes of one image, of which some networks' BatchNorm can make no statistics."""

import torch

from lacewing.errors import ModelError
from lacewing.models.build import new_model
from lacewing.models.catalog import ModelInfo
from lacewing.models.sizes import takes_one_image
from lacewing.planning.growth import sides_of
from lacewing.planning.norms import keeps_statistics
from lacewing.planning.plan import Plan
from lacewing.training.setup import Prepared


def check_one_image(prepared: Prepared) -> None:
    """Raise ModelError where a pass has one image and the network can't be trained on that."""
    config, plan, info = prepared.config, prepared.plan, prepared.info
    frozen = keeps_statistics(config, prepared.weights is not None, plan.micro_batch.value)
    if prepared.processes > 1 or frozen or least_images(plan) > 1:
        return
    size = min(sides_of(config, info, plan.image_size.value) or (plan.image_size.value,))
    if can_learn(info, size):
        return
    is_larger = size < info.native_size and can_learn(info, info.native_size)
    larger = ", a larger --image-size" if is_larger else ""
    raise ModelError(
        f"{info.name} can't be trained on one image of {size} pixels at a time: its BatchNorm "
        f"would see a single value of each channel. Use -bz 2 or more{larger}, or "
        "--freeze-norms True."
    )


def least_images(plan: Plan) -> int:
    """Of the smallest pass: those of a step differ by one image at most."""
    return plan.batch.value // plan.accumulation.value


def can_learn(info: ModelInfo, size: int) -> bool:
    """Whether the network takes single images of a size in training, without doing any work."""
    with torch.device("meta"):
        net = new_model(info, 2, 0.0, size)
    return takes_one_image(net, size)
