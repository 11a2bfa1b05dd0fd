"""How large and how long to fine-tune in the time that is left."""

from dataclasses import dataclass

from lacewing.models.catalog import ModelInfo
from lacewing.planning.growth import growing_sides, work_shares
from lacewing.training.recipe.size import Speed, least_side, sides

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
"""What a forecast may err by, where it decides whether there is time enough."""


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
    *,
    grows: bool = False,
) -> Length | None:
    """The best stretch for `seconds`; None if too few epochs fit at every size.

    Of the sizes with room for enough epochs it is the largest. The clock ends the last epoch, so
    that no time is left over. Epochs that were asked for stand, and the size gives way as far as
    it goes. Where images grow to their size, more epochs fit.
    """

    def needed(size: int, epochs: int, slack: float = SLACK) -> float:
        work = epochs_of_work(info, size, epochs, grows)
        return work * slack * speed.seconds(images, size) + epochs * validation_seconds

    enough = ENOUGH_EPOCHS if asked_epochs is None else asked_epochs
    sizes = training_sizes(info, eval_size)
    size = next((one for one in sizes if needed(one, enough) <= seconds), None)
    if asked_epochs is not None:
        size = size or sizes[-1]
        return Length(size, asked_epochs, needed(size, asked_epochs))
    if size is None:
        return None
    epochs = enough
    while epochs < MOST_EPOCHS and needed(size, epochs, slack=1.0) < seconds:
        epochs += 1
    return Length(size, epochs, min(seconds, needed(size, epochs)))


def epochs_of_work(info: ModelInfo, size: int, epochs: int, grows: bool) -> float:
    """What so many epochs take, in epochs at `size`: fewer where images grow to it."""
    if not grows:
        return float(epochs)
    return sum(work_shares(growing_sides(size, epochs, info.min_size, info.size_multiple)))


def least_seconds(
    info: ModelInfo, eval_size: int, images: int, forward: Speed, *, grows: bool = False
) -> float:
    """Of fine-tuning at the smallest size for the fewest epochs; it will take longer.

    `forward` is the speed of forward-only passes, `images` those of an epoch.
    """
    smallest = training_sizes(info, eval_size)[-1]
    work = epochs_of_work(info, smallest, ENOUGH_EPOCHS, grows)
    return work * STEP_TO_FORWARD * forward.seconds(images, smallest)


def training_sizes(info: ModelInfo, eval_size: int) -> list[int]:
    """Sides for training, the largest first; one that is built for a size keeps it."""
    if info.fixed_size or info.built_for_size:
        return [eval_size]
    least = max(LEAST_TO_EVAL * eval_size, least_side(info))
    return sides(info, least, TRAIN_TO_EVAL * eval_size) or [eval_size]
