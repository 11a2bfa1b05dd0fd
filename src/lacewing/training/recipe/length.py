"""How large and how long to fine-tune in the time that is left."""

from dataclasses import dataclass

from lacewing.models.catalog import ModelInfo
from lacewing.training.recipe.size import Speed, sizes_for

ENOUGH_EPOCHS = 3
"""With fewer at a size, a smaller one is better if it has room for more. With fewer at the
smallest too, the fitted head stays as it is: on 1,224 pest photos one or two epochs only made it
worse, by 1 to 13 points over rates from 4e-5 to 2e-4."""
MOST_EPOCHS = 20
TRAIN_TO_EVAL = 0.8
"""Training images are smaller than those judged: a random crop shows things larger (FixRes,
Touvron et al. 2019, arXiv:1906.06423: 176 pixels for 224)."""
LEAST_TO_EVAL = 0.5
"""With still smaller ones, the network would be judged on another kind of image."""
STEP_TO_FORWARD = 3.0
"""A training step costs at least three forward passes: the backward pass takes two."""
SLACK = 1.1
"""What a forecast may err by; beyond it, the clock ends the run."""


@dataclass(frozen=True)
class Length:
    """A stretch of fine-tuning."""

    size: int
    """Side of the training images, in pixels."""
    epochs: int
    seconds: float
    """Forecast, with the validations."""


def choose_length(
    info: ModelInfo,
    eval_size: int,
    images: int,
    speed: Speed,
    validation_seconds: float,
    seconds: float,
    asked_epochs: int | None = None,
) -> Length | None:
    """The best stretch that fits into `seconds`; None if too few epochs fit at every size.

    Of the sizes with room for enough epochs it is the largest. Epochs that were asked for stand,
    and the size gives way as far as it goes.
    """
    most, enough = (MOST_EPOCHS, ENOUGH_EPOCHS) if asked_epochs is None else (asked_epochs,) * 2
    for size in training_sizes(info, eval_size):
        epoch = SLACK * speed.seconds(images, size) + validation_seconds
        epochs = int(min(most, seconds / epoch))
        if epochs >= enough:
            break
    if asked_epochs is None and epochs < enough:
        return None
    epochs = epochs if asked_epochs is None else asked_epochs
    return Length(size, epochs, epochs * epoch)


def least_seconds(info: ModelInfo, eval_size: int, images: int, forward: Speed) -> float:
    """Of fine-tuning at the smallest size for the fewest epochs; it will take longer.

    `forward` is the speed of forward-only passes, `images` those of an epoch.
    """
    smallest = training_sizes(info, eval_size)[-1]
    return ENOUGH_EPOCHS * STEP_TO_FORWARD * forward.seconds(images, smallest)


def training_sizes(info: ModelInfo, eval_size: int) -> list[int]:
    """Sides for training, the largest first; one that is built for a size keeps it."""
    if info.fixed_size or info.built_for_size:
        return [eval_size]
    least, largest = LEAST_TO_EVAL * eval_size, TRAIN_TO_EVAL * eval_size
    return [size for size in sizes_for(info) if least <= size <= largest] or [eval_size]
