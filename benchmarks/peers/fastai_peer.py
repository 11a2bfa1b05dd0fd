"""fastai as its quick start has it: `vision_learner` and `fine_tune`, with their defaults.

fastai's own head, its augmentation, one epoch with frozen weights, then discriminative rates.
"""

from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    vision_learner,
)
from shared import ARCHITECTURE, BATCH, MEAN, STD, Clock, arguments, weights


class Timer(Callback):
    """Counts the training, without the validation."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def before_train(self) -> None:
        self.clock.go_on()

    def after_train(self) -> None:
        self.clock.pause()

    def after_epoch(self) -> None:
        self.clock.point(float(self.learn.recorder.metrics[0].value))


def main() -> None:
    given = arguments()
    images = ImageDataLoaders.from_folder(
        given.data,
        train="train",
        valid="test",
        item_tfms=Resize(round(given.size * 1.25)),
        batch_tfms=[*aug_transforms(size=given.size), Normalize.from_stats(MEAN, STD)],
        bs=BATCH,
    )
    learner = vision_learner(
        images, ARCHITECTURE, normalize=False, pretrained=False, metrics=accuracy
    )
    if not given.scratch:
        body = learner.model[0].model
        own = body.state_dict()
        body.load_state_dict({name: weights()[name] for name in own})
    learner.add_cb(Timer(Clock(given.out)))
    with learner.no_bar(), learner.no_logging():
        if given.scratch:
            learner.unfreeze()
            learner.fit_one_cycle(given.epochs)
        else:
            learner.fine_tune(max(1, given.epochs - 1))


if __name__ == "__main__":
    main()
