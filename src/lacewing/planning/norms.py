"""Whether BatchNorm keeps its pretrained statistics, or takes those of the training images."""

from lacewing.config import TrainConfig

LEAST_IMAGES = 32
"""BatchNorm's error grows below this (Wu and He 2018, arXiv:1803.08494, figure 1)."""


def keeps_statistics(config: TrainConfig, pretrained: bool, images: int) -> bool:
    """Whether they stay in passes of so many images, as asked for or as is best.

    A recipe leaves them alone: its head is fitted to what they give. `config` names the recipe.
    """
    if config.freeze_norms is not None:
        return config.freeze_norms
    if not config.is_classic:
        return True
    return pretrained and images < LEAST_IMAGES
