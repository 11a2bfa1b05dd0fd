"""Does the device wait for images? End-to-end training against the same steps on ready tensors.

Every way trains the same network by the same step on the same photos, an epoch each in turn:

* compute: batches that lie on the device already;
* lacewing: each kind of keeping decoded pixels, with and without a decoding thread;
* torch: what torchvision's ImageFolder and DataLoader do, with 0, 1 and 2 worker processes.

The figure is the share of the compute rate, in the first epoch and in later ones.

    python benchmarks/pixels.py [--data FOLDER] [--model NAME ...] [--images 512] [--quick]
"""

# ruff: noqa: E402 - the policy must stand before torch is loaded

from lacewing.hardware.waiting import let_threads_sleep

let_threads_sleep()  # as `lacewing train` does

import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, v2

from common import interleaved, machine_facts, parser, print_table, summary, write_result
from lacewing.data.augment import AugmentConfig
from lacewing.data.index import ImageIndex
from lacewing.data.loader import Loading, TrainLoader
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore, kept_bytes
from lacewing.data.preprocess import Preprocessing
from lacewing.data.sample import draw_sample
from lacewing.engine.execution import Execution
from lacewing.engine.losses import make_loss
from lacewing.engine.prepare import prepare_model, to_format
from lacewing.engine.step import train_step
from lacewing.hardware.backends import backend_for
from lacewing.hardware.limits import usable_cores

MODELS = ("mobilenetv2_100", "resnet18")
PRECISIONS = {"resnet18": "bf16"}
"""What a plan would choose on a CPU with AVX512-BF16 (both models channels_last); else fp32."""
AUGMENT = AugmentConfig()
Batches = Iterator[tuple[Tensor, Tensor]]
Epoch = Callable[[int], Batches]
"""Takes the number of an epoch; gives its batches, on the device."""


@dataclass(frozen=True)
class Setting:
    """One size of the benchmark."""

    images: int
    image_size: int
    batch: int
    epochs: int

    @property
    def preprocessing(self) -> Preprocessing:
        """ImageNet's."""
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return Preprocessing(image_size=self.image_size, mean=mean, std=std)


class Folder(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's ImageFolder opens them, varied by torchvision's transforms."""

    def __init__(self, index: ImageIndex, rule: Preprocessing) -> None:
        self.paths, self.labels = index.paths(), index.column("label").tolist()
        jitter = AUGMENT.color_jitter
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(rule.image_size, scale=(AUGMENT.min_crop, 1.0)),
                v2.RandomHorizontalFlip(),
                v2.RandomRotation(AUGMENT.rotation, InterpolationMode.BILINEAR),
                v2.ColorJitter(jitter, jitter, jitter),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(rule.mean, rule.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[row]) as image:
            return self.transform(image.convert("RGB")), self.labels[row]


def lacewing_epochs(
    index: ImageIndex, setting: Setting, device: torch.device, keep: str, workers: int, cache: Path
) -> Epoch:
    """Our loader, with a cache of its own on the disk."""
    store = PixelStore(index, setting.preprocessing, keep=keep, cache_dir=cache / f"{workers}")
    pin = device.type == "cuda"
    loading = Loading(device=device, augment_device=device, workers=workers, pin_memory=pin)
    loader = TrainLoader(index, store, AUGMENT, batch_size=setting.batch, seed=0, loading=loading)
    return lambda epoch: ((batch.images, batch.labels) for batch in loader.epoch(epoch))


def torch_epochs(index: ImageIndex, setting: Setting, device: torch.device, workers: int) -> Epoch:
    """The usual loader; its processes stay from one epoch to the next."""
    loader = DataLoader(
        Folder(index, setting.preprocessing),
        setting.batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        drop_last=True,
    )

    def batches(_: int) -> Batches:
        for images, labels in loader:
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    return batches


def ready_epochs(source: Epoch) -> Epoch:
    """The batches of one epoch, made once."""
    ready = list(source(0))
    return lambda _: iter(ready)


def trainer(name: str, classes: int, device_name: str) -> Callable[[Batches], None]:
    """A function that makes a step on each batch and waits for the last."""
    backend, number = backend_for(device_name)
    precision = PRECISIONS.get(name, "fp32")
    execution = Execution(device=device_name, precision=precision, memory_format="channels_last")
    backend.configure(precision, usable_cores().value, False)
    network = timm.create_model(name, num_classes=classes)
    model = prepare_model(network, execution, backend.torch_device(number)).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss, scaler = make_loss(), backend.grad_scaler(precision)

    def train(batches: Batches) -> None:
        for images, labels in batches:
            ordered = to_format(images, execution.memory_format)
            passes = [(ordered, labels)]
            autocast = partial(backend.autocast, precision)
            train_step(model, optimizer, scaler, loss, passes, autocast)
        backend.synchronize(number)

    return train


def ways_of(
    index: ImageIndex, setting: Setting, device: torch.device, cache: Path
) -> dict[str, Epoch]:
    """Every way to get the batches."""
    ways = {"compute": ready_epochs(lacewing_epochs(index, setting, device, "none", 0, cache))}
    for keep in ("none", "disk", "ram"):
        for workers in (0, max(1, usable_cores().value - 1)):
            title = f"lacewing, keep {keep}, {workers} threads"
            ways[title] = lacewing_epochs(index, setting, device, keep, workers, cache)
    for workers in (0, 1, 2):
        title = f"ImageFolder, {workers} workers"
        ways[title] = torch_epochs(index, setting, device, workers)
    return ways


def measure(
    name: str, index: ImageIndex, setting: Setting, device_name: str
) -> dict[str, dict[str, Any]]:
    """Images/s of each way in the first and in later epochs, and their shares of compute."""
    backend, number = backend_for(device_name)
    train = trainer(name, len(index.classes), device_name)
    images = len(index) // setting.batch * setting.batch
    with tempfile.TemporaryDirectory() as cache:
        ways = ways_of(index, setting, backend.torch_device(number), Path(cache))
        train(ways["compute"](0))  # warms up the network; no other way has begun yet
        counted = {way: iter(range(setting.epochs)) for way in ways}
        calls = {
            way: lambda way=way, epochs=epochs: train(epochs(next(counted[way])))
            for way, epochs in ways.items()
        }
        seconds = interleaved(calls, rounds=setting.epochs, warm_up=0)
    base = statistics.median(seconds["compute"])
    found = {}
    for way, times in seconds.items():
        found[way] = {
            "first": images / times[0],
            "first_share": base / times[0],
            "later": summary([images / one for one in times[1:]]),
            "later_share": base / statistics.median(times[1:]),
        }
    return found


def some_of(index: ImageIndex, count: int) -> ImageIndex:
    """So many training images, evenly chosen."""
    train = index.split("train")
    rows = np.linspace(0, len(train) - 1, min(count, len(train))).astype(int)
    return train.take(np.unique(rows))


def main() -> None:
    """Measure, print the tables, write the result."""
    options = parser(__doc__)
    options.add_argument("--data", default="sample", help="a data set as `lacewing train` takes it")
    options.add_argument("--model", nargs="+", default=MODELS)
    options.add_argument("--images", type=int, default=512)
    options.add_argument("--image-size", type=int, default=128)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--epochs", type=int, default=5)
    options.add_argument("--device", default="cpu")
    chosen = options.parse_args()
    setting = Setting(chosen.images, chosen.image_size, chosen.batch, chosen.epochs)
    if chosen.quick:
        setting = Setting(images=32, image_size=64, batch=8, epochs=3)
    facts = machine_facts(chosen.device)
    index = some_of(open_images(chosen.data, draw_sample=draw_sample), setting.images)
    figures = {}
    for name in ["test_resnet"] if chosen.quick else chosen.model:
        figures[name] = measure(name, index, setting, chosen.device)
        print(f"\n{name}")
        rows = [
            (way, one["first"], one["first_share"], one["later"]["median"], one["later_share"])
            for way, one in figures[name].items()
        ]
        columns = ("way", "first epoch, images/s", "of compute", "later, images/s", "of compute")
        print_table(columns, rows)
    content = {
        "setting": vars(setting) | {"data": chosen.data, "images": len(index)},
        "kept_bytes": kept_bytes(index, setting.preprocessing.resize_size),
        "models": figures,
    }
    print(f"written to {write_result('pixels', facts, content, chosen.results)}")


if __name__ == "__main__":
    main()
