"""Accuracy over time: lacewing's recipe against loops that people write by hand.

All ways start from the same offline ImageNet weights and see the same training and test images,
one after the other on the same machine. The hand-written loops are judged after every epoch;
judging is not counted in their time. lacewing's time is the whole command, with start-up,
decisions, evaluation and report.

- plain: PyTorch's transfer-learning tutorial: random resized crop, Adam 1e-3, batch 16, fp32
- timm: timm's fine-tuning recipe: RandAugment, random erasing, AdamW, warm-up and cosine, label
  smoothing, averaged weights

    python benchmarks/time_to_accuracy.py [--quick] [--data FOLDER] [--minutes 5]
"""

import copy
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import timm.optim
import timm.utils
import torch
from timm.data import create_transform
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from common import machine_facts, parser, print_table, write_result
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.models.weights import fetch_weights

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "agri_pests12"
MODEL, SIZE, BATCH = "efficientnet_lite0", 224, 16
MEAN = STD = (0.5, 0.5, 0.5)
BUDGETS = ("1m", "3m", "5m")


@dataclass(frozen=True)
class Point:
    """Accuracy on the test images after so many seconds."""

    seconds: float
    accuracy: float


def network(classes: int) -> nn.Module:
    """The network with its offline weights and a new head."""
    info = find_model(MODEL)
    torch.manual_seed(0)
    return build_model(info, classes, 0.0, fetch_weights(info), SIZE)


def loaders(data: Path, augment: Callable[..., object], size: int) -> tuple[DataLoader, DataLoader]:
    """Training and test images, as torchvision's tutorials load them."""
    judge = transforms.Compose(
        [
            transforms.Resize(round(size / 0.875)),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    train = DataLoader(
        ImageFolder(data / "train", augment), BATCH, shuffle=True, drop_last=True, num_workers=1
    )
    return train, DataLoader(ImageFolder(data / "test", judge), 32, num_workers=1)


@torch.no_grad()
def accuracy(model: nn.Module, images: DataLoader) -> float:
    """Share of right answers."""
    model.eval()
    right = [(model(batch).argmax(1) == labels).float() for batch, labels in images]
    return float(torch.cat(right).mean())


def plain_loop(data: Path, size: int, seconds: float) -> Iterator[Point]:
    """PyTorch's transfer-learning tutorial, with Adam."""
    augment = transforms.Compose(
        [
            transforms.RandomResizedCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    train, test = loaders(data, augment, size)
    model = network(len(train.dataset.classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    spent = 0.0
    while spent < seconds:
        start = time.perf_counter()
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        spent += time.perf_counter() - start
        yield Point(spent, accuracy(model, test))


def timm_loop(data: Path, size: int, seconds: float, epochs: int = 5) -> Iterator[Point]:
    """timm's train script with its usual fine-tuning settings."""
    augment = create_transform(
        size,
        is_training=True,
        auto_augment="rand-m9-mstd0.5-inc1",
        re_prob=0.25,
        mean=MEAN,
        std=STD,
    )
    train, test = loaders(data, augment, size)
    model = network(len(train.dataset.classes))
    optimizer = timm.optim.create_optimizer_v2(model, "adamw", lr=5e-4, weight_decay=0.05)
    steps = epochs * len(train)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-4, steps, pct_start=0.1)
    average = timm.utils.ModelEmaV3(model, decay=0.99, use_warmup=True)
    spent = 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels, label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
            average.update(model)
        spent += time.perf_counter() - start
        yield Point(spent, accuracy(copy.deepcopy(average.module), test))
        if spent > seconds:
            return


def lacewing_runs(data: Path, budgets: tuple[str, ...], model: str) -> Iterator[Point]:
    """The whole command, once per budget."""
    for budget in budgets:
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-m", "lacewing", "train", "--data", str(data), "--model",
                     model, "--budget", budget, "--output", folder, "--name", "run"]  # fmt: skip
            start = time.perf_counter()
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - start
            results = json.loads((Path(folder) / "run" / "results.json").read_text())
        yield Point(seconds, results["splits"]["test"]["top1"])


def first_time(points: list[Point], wanted: float) -> float | None:
    """Seconds after which an accuracy was reached."""
    return next((point.seconds for point in points if point.accuracy >= wanted), None)


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", type=Path, default=DATA)
    flags.add_argument("--minutes", type=float, default=5.0, help="for each hand-written loop")
    given = flags.parse_args()
    size, seconds = (64, 1.0) if given.quick else (SIZE, 60 * given.minutes)
    facts = machine_facts()
    curves: dict[str, list[Point]] = {}
    ways = {
        "lacewing": lacewing_runs(given.data, ("30s",) if given.quick else BUDGETS, MODEL),
        "plain": plain_loop(given.data, size, seconds),
        "timm": timm_loop(given.data, size, seconds),
    }
    for name, points in ways.items():
        curves[name] = []
        for point in points:
            curves[name].append(point)
            print(f"{name:9s} {point.seconds:7.1f} s  {point.accuracy:.3f}", flush=True)
    best = max(point.accuracy for name in ("plain", "timm") for point in curves[name])
    rows = [
        (name, max(p.accuracy for p in points), first_time(points, best) or "never")
        for name, points in curves.items()
    ]
    print_table(("way", "best accuracy", f"seconds to {best:.3f}"), rows)
    content = {name: [vars(point) for point in points] for name, points in curves.items()}
    print(write_result("time_to_accuracy", facts, {"size": size, "curves": content}, given.results))


if __name__ == "__main__":
    main()
