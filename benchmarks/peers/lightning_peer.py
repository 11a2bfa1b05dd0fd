"""Lightning's usual loop: a LightningModule around a pretrained network, as its guide has it."""

import lightning
import torch
from shared import MEAN, STD, Clock, accuracy, arguments, network, test_images, training_images
from torch import nn
from torchvision import transforms


class Classifier(lightning.LightningModule):
    """Cross-entropy and Adam, as in "Finetune a pretrained model" of Lightning's guide."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self.model(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Judge(lightning.Callback):
    """Judges after each epoch, beside the clock."""

    def __init__(self, clock: Clock, images: object) -> None:
        self.clock, self.images = clock, images

    def on_train_epoch_start(self, *_: object) -> None:
        self.clock.go_on()

    def on_train_epoch_end(self, _: lightning.Trainer, module: Classifier) -> None:
        self.clock.pause()
        self.clock.point(accuracy(module.model, self.images))


def main() -> None:
    given = arguments()
    change = transforms.Compose(
        [
            transforms.RandomResizedCrop(given.size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    train, test = training_images(given.data, change), test_images(given.data, given.size)
    trainer = lightning.Trainer(
        max_epochs=given.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[Judge(Clock(given.out), test)],
    )
    trainer.fit(Classifier(network(len(train.dataset.classes), given.scratch)), train)


if __name__ == "__main__":
    main()
