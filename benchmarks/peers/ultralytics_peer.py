"""Ultralytics' `classify train` with its defaults, on the same network.

The network comes in by a trainer of one's own, as the guide "Advanced customization" has it; in
front of Ultralytics' own head, as its ResNet configurations do. Ultralytics feeds images in
0..1, so the network normalises them itself.
"""

import os
import tempfile
from pathlib import Path

os.environ.update(YOLO_OFFLINE="True", YOLO_AUTOINSTALL="False", YOLO_VERBOSE="False")
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())

import torch
from shared import BATCH, Clock, arguments, network
from torch import nn
from ultralytics import YOLO
from ultralytics.models.yolo.classify import ClassificationTrainer

CONFIGURATION = """
nc: 1000
backbone:
  - [-1, 1, TorchVision, [1280, mobilenet_v2, null, True, 2]]
head:
  - [-1, 1, Classify, [nc]]
"""
"""Its first module is replaced by the network."""


class Body(nn.Module):
    """The network up to its last feature map, for images in 0..1."""

    def __init__(self, scratch: bool) -> None:
        super().__init__()
        self.net = network(1, scratch)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net.forward_features((images - 0.5) / 0.5)


def trainer_with(scratch: bool) -> type[ClassificationTrainer]:
    """Ultralytics' trainer, with our network in the place of its own."""

    class Trainer(ClassificationTrainer):
        def get_model(self, *words: object, **named: object) -> nn.Module:
            model = super().get_model(*words, **named)
            model.model[0].m = Body(scratch)
            return model

    return Trainer


def folder_of(data: Path, made: Path) -> Path:
    """A folder with train/ and val/, since Ultralytics writes beside the images."""
    for name, split in (("train", "train"), ("val", "test")):
        for file in sorted((data / split).glob("*/*")):
            link = made / name / file.parent.name / file.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
    return made


def main() -> None:
    given = arguments()
    clock = Clock(given.out)
    with tempfile.TemporaryDirectory() as made:
        folder = folder_of(given.data, Path(tempfile.mkdtemp(dir=made)))
        file = Path(made) / "network.yaml"
        file.write_text(CONFIGURATION)
        model = YOLO(str(file), task="classify")
        model.add_callback("on_train_epoch_start", lambda _: clock.go_on())
        model.add_callback("on_train_epoch_end", lambda _: clock.pause())
        model.add_callback(
            "on_fit_epoch_end",
            lambda trainer: clock.point(float(trainer.metrics["metrics/accuracy_top1"])),
        )
        model.train(
            trainer=trainer_with(given.scratch),
            data=str(folder),
            epochs=given.epochs,
            imgsz=given.size,
            batch=BATCH,
            device="cpu",
            project=made,
            plots=False,
            save=False,
        )


if __name__ == "__main__":
    main()
