"""Does the device wait for images? End-to-end training against the same steps on ready tensors.

Every way trains the same network by the same step on the same photos, an epoch each in turn, and
begins anew several times, without what it kept:

* compute: batches that lie on the device already;
* lacewing: each kind of keeping decoded pixels, with and without a decoding thread;
* torch: what torchvision's ImageFolder and DataLoader do, with 0, 1 and 2 worker processes.

A GPU has six ways and begins once: compute, lacewing with decoding threads that keeps nothing or
keeps pixels in RAM or on the device, by Triton's kernels and the last by tensor operations too, and
ImageFolder with a worker for each core. It is quick, so the images come again and again until there
are 5,120: a short epoch would tell how its first batch is waited for. What is kept goes by rows, so
each of them is decoded and kept as if it were another image; only its file is read from the
system's cache.

The figure is the share of the compute rate, in the first epoch and in later ones, and how many
times as fast as the quickest of torchvision's ways. RAM counts decoded pixels and what worker
processes hold alone; disk counts files of decoded pixels. `--large` does the same with 60 photos
of 12 megapixels, made by enlarging photos of the data set, and `--full` reads 50,000 sample images
by each loader without a network (the first run draws them, which takes long).

    python benchmarks/pixels.py [--data FOLDER] [--model NAME ...] [--images 384] [--quick]
                                [--device cpu] [--large] [--full]

The result is written anew after each epoch. A way that fails is told, and the others go on.
ImageFolder's processes pass batches through /dev/shm: where that is small, there are fewer of them,
or each makes one batch ahead in the place of two, and the row says so.
"""

# ruff: noqa: E402 - the policy must stand before torch is loaded

from lacewing.hardware.process import ready_process

ready_process()  # as `lacewing train` does

import argparse
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import timm
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, v2

from common import interleaved, machine_facts, parser, print_table, summary, write_result
from lacewing.data.augment import AugmentConfig
from lacewing.data.batch import Loading
from lacewing.data.cache import cache_folder
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore, kept_bytes
from lacewing.data.preprocess import Preprocessing
from lacewing.data.rgb import open_rgb
from lacewing.data.sample import draw_sample
from lacewing.data.train_loader import TrainLoader
from lacewing.engine.execution import Execution
from lacewing.engine.losses import make_loss
from lacewing.engine.prepare import prepare_model, to_format
from lacewing.engine.step import train_step
from lacewing.hardware.backend import Backend
from lacewing.hardware.backends import backend_for
from lacewing.hardware.limits import shared_memory_free, usable_cores
from lacewing.values import first_line

MODELS = ("mobilenetv2_100", "resnet18")
PRECISIONS = {"resnet18": "bf16"}
"""What a plan would choose on a CPU that is quick in it; else fp32. All are channels_last."""
AUGMENT = AugmentConfig()
Batches = Iterator[tuple[Tensor, Tensor]]
Epoch = Callable[[int], Batches]
"""Takes the number of an epoch; gives its batches, on the device."""


@dataclass(frozen=True)
class Way:
    """One way to get the batches, and what it takes."""

    epoch: Epoch
    ram_bytes: int = 0
    """Of decoded pixels."""
    cache: Path | None = None
    """Where it keeps pixels on the disk."""
    has_processes: bool = False


@dataclass(frozen=True)
class Setting:
    """One size of the benchmark."""

    images: int
    image_size: int
    batch: int
    epochs: int
    """Of each turn: the first, and later ones."""
    turns: int
    """How often every way begins anew: first epochs that are measured."""

    @property
    def preprocessing(self) -> Preprocessing:
        """ImageNet's."""
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return Preprocessing(image_size=self.image_size, mean=mean, std=std)


CPU = Setting(images=384, image_size=128, batch=16, epochs=3, turns=3)
GPU = Setting(images=5120, image_size=224, batch=256, epochs=3, turns=1)
QUICK = Setting(images=32, image_size=64, batch=8, epochs=2, turns=2)
"""To see that it runs."""


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
    index: ImageIndex,
    setting: Setting,
    device: torch.device,
    keep: str,
    workers: int,
    cache: Path,
    by_kernel: bool = False,
) -> Epoch:
    """Our loader, with a cache of its own on the disk."""
    store = PixelStore(index, setting.preprocessing, keep=keep, cache_dir=cache)
    loading = Loading(
        device=device,
        augment_device=device,
        by_kernel=by_kernel,
        workers=workers,
        pin_memory=device.type == "cuda",
    )
    loader = TrainLoader(index, store, AUGMENT, batch_size=setting.batch, seed=0, loading=loading)
    return lambda epoch: ((batch.images, batch.labels) for batch in loader.epoch(epoch))


def torch_epochs(
    index: ImageIndex, setting: Setting, device: torch.device, wanted: int
) -> tuple[str, Epoch]:
    """The usual loader, named by its processes, which stay from one epoch to the next."""
    batch_bytes = setting.batch * 3 * setting.image_size**2 * 4
    workers, ahead = within_shared_memory(wanted, batch_bytes, shared_memory_free())
    loader = DataLoader(
        Folder(index, setting.preprocessing),
        setting.batch,
        shuffle=True,
        num_workers=workers,
        prefetch_factor=ahead if workers else None,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        drop_last=True,
    )
    is_bounded = (workers, ahead) != (wanted, 2)
    bounded = f" of {wanted}, {ahead} batch ahead: /dev/shm is small" if is_bounded else ""

    def batches(_: int) -> Batches:
        for images, labels in loader:
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    return f"ImageFolder, {workers} workers{bounded}", batches


def within_shared_memory(wanted: int, batch_bytes: int, free: int | None) -> tuple[int, int]:
    """Processes, at most those wanted, and batches that each makes ahead: torch's 2, or 1.

    A process that finds /dev/shm full is ended by the system. One batch more than those made ahead
    is there: the one in use.
    """
    fit = wanted * 2 if free is None else max(0, free // batch_bytes - 1)
    return min(wanted, fit), 2 if fit >= wanted * 2 else 1


def ready_epochs(source: Epoch) -> Epoch:
    """The batches of one epoch, made once, when they are first asked for."""
    ready = functools.cache(lambda: list(source(0)))
    return lambda _: iter(ready())


def precision_of(name: str, backend: Backend, number: int) -> str:
    """On a GPU bf16, where it has that; else fp32."""
    wanted = PRECISIONS.get(name, "fp32") if backend.kind == "cpu" else "bf16"
    return wanted if wanted in backend.candidate_precisions(number) else "fp32"


def trainer(name: str, classes: int, device_name: str) -> Callable[[Batches], None]:
    """A function that makes a step on each batch and waits for the last."""
    backend, number = backend_for(device_name)
    precision = precision_of(name, backend, number)
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
) -> dict[str, Way]:
    """Every way to get the batches; on a GPU by Triton's kernels, and once by tensor operations."""
    is_cpu, cores = device.type == "cpu", usable_cores().value
    threads = max(1, cores - 1)
    kinds = ("none", "disk", "ram") if is_cpu else ("none", "ram", "device")
    ready = lacewing_epochs(index, setting, device, "none", 0 if is_cpu else threads, cache)
    ways = {"compute": Way(ready_epochs(ready))}
    kept = kept_bytes(index, setting.preprocessing.resize_size)
    by_kernel = device.type == "cuda" and find_spec("triton") is not None
    for keep in kinds:
        for workers in (0, threads) if is_cpu else (threads,):
            place = cache / f"{keep}{workers}"
            epoch = lacewing_epochs(index, setting, device, keep, workers, place, by_kernel)
            ram = kept if keep == "ram" else 0
            ways[f"lacewing, keep {keep}, {workers} threads"] = Way(epoch, ram, place)
    if by_kernel:
        plain = lacewing_epochs(index, setting, device, "device", threads, cache / "plain")
        ways[f"lacewing, keep device, {threads} threads, tensor operations"] = Way(plain)
    for workers in (0, 1, 2) if is_cpu else (cores,):
        title, epoch = torch_epochs(index, setting, device, workers)
        ways[title] = Way(epoch, has_processes=workers > 0)
    return ways


def disk_bytes(folder: Path | None) -> int:
    """Bytes of the files below a folder."""
    if folder is None:
        return 0
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def child_bytes() -> int:
    """RAM that child processes hold alone: what ends with them."""
    return sum(child.memory_full_info().uss for child in psutil.Process().children(recursive=True))


@dataclass(frozen=True)
class Timed:
    """What one way took in one turn, so far."""

    seconds: list[float]
    """Of each epoch."""
    ram_bytes: int
    disk_bytes: int


def one_turn(
    turn: int,
    train: Callable[[Batches], None],
    ways_in: Callable[[Path], dict[str, Way]],
    epochs: int,
    tell: Callable[[str, Timed], None],
    failed: Callable[[str, Exception], None],
) -> None:
    """Every way from its first epoch on, nothing kept from another turn; each begins in turn.

    `tell` is told after each epoch.
    """
    children: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as cache:
        ways = ways_in(Path(cache))
        train(ways["compute"].epoch(0))  # warms up the network; no other way has begun yet
        counted = {way: iter(range(epochs)) for way in ways}

        def call(title: str) -> None:
            train(ways[title].epoch(next(counted[title])))

        def took(title: str, seconds: Sequence[float]) -> None:
            way = ways[title]
            if way.has_processes and title not in children:  # they have just come, and stay
                children[title] = child_bytes() - sum(children.values())
            ram = way.ram_bytes + children.get(title, 0)
            tell(title, Timed(list(seconds), ram, disk_bytes(way.cache)))

        titles = list(ways)
        begin = turn % len(titles)
        interleaved(
            {title: partial(call, title) for title in titles[begin:] + titles[:begin]},
            rounds=epochs,
            warm_up=0,
            tell=took,
            failed=failed,
        )


def measure(
    name: str,
    index: ImageIndex,
    setting: Setting,
    device_name: str,
    keep: Callable[[dict[str, Any]], None],
) -> None:
    """Give the figures of each way to `keep`, anew after each epoch and each failure."""
    backend, number = backend_for(device_name)
    device = backend.torch_device(number)
    train = trainer(name, len(index.classes), device_name)
    images = len(index) // setting.batch * setting.batch
    turns: list[dict[str, Timed]] = []
    failures: dict[str, str] = {}

    def tell(title: str, timed: Timed) -> None:
        turns[-1][title] = timed
        by_epoch = ", ".join(f"{images / one:.0f}" for one in timed.seconds)
        print(f"{name}, {title}: {by_epoch} images/s by epoch", flush=True)
        keep(figures(turns, failures, images))

    def failed(title: str, error: Exception) -> None:
        failures[title] = f"{type(error).__name__}: {first_line(error)}"
        print(f"{name}, {title}: failed, {failures[title]}", flush=True)
        keep(figures(turns, failures, images))

    for turn in range(setting.turns):
        turns.append({})
        ways_in = partial(ways_of, index, setting, device)
        one_turn(turn, train, ways_in, setting.epochs, tell, failed)


def figures(
    turns: Sequence[Mapping[str, Timed]], failures: Mapping[str, str], images: int
) -> dict[str, Any]:
    """Images/s of each way in the first and in later epochs, and their shares of compute.

    None stands for what was not measured, or not yet.
    """
    timed = {
        title: [turn[title] for turn in turns if title in turn]
        for title in dict.fromkeys([*(title for turn in turns for title in turn), *failures])
    }
    firsts = {title: [one.seconds[0] for one in ones] for title, ones in timed.items()}
    laters = {
        title: [one for each in ones for one in each.seconds[1:]] for title, ones in timed.items()
    }
    base = typical(firsts.get("compute", []) + laters.get("compute", []))
    return {
        title: {
            "first": rates(firsts[title], images),
            "first_share": times(base, firsts[title]),
            "first_times": times(quickest_folder(firsts), firsts[title]),
            "later": rates(laters[title], images),
            "later_share": times(base, laters[title]),
            "later_times": times(quickest_folder(laters), laters[title]),
            "ram_bytes": ones[0].ram_bytes if ones else None,
            "disk_bytes": ones[0].disk_bytes if ones else None,
            "failed": failures.get(title),
        }
        for title, ones in timed.items()
    }


def typical(seconds: Sequence[float]) -> float | None:
    """Their median; None of none."""
    return statistics.median(seconds) if seconds else None


def rates(seconds: Sequence[float], images: int) -> dict[str, float] | None:
    """Images/s; None where nothing was measured."""
    return summary([images / one for one in seconds]) if seconds else None


def quickest_folder(seconds: Mapping[str, Sequence[float]]) -> float | None:
    """What the quickest of torchvision's ways typically takes."""
    theirs = [ones for title, ones in seconds.items() if title.startswith("ImageFolder") and ones]
    return min(map(statistics.median, theirs), default=None)


def times(base: float | None, seconds: Sequence[float]) -> float | None:
    """How many times as fast as something that takes `base` seconds."""
    return base / statistics.median(seconds) if base and seconds else None


def show(found: dict[str, dict[str, Any]]) -> None:
    """A table of what was measured."""
    columns = ("way", "first epoch, images/s", "of compute", "x ImageFolder", "later, images/s",
               "of compute", "x ImageFolder", "RAM, MB", "disk, MB")  # fmt: skip
    rows = [
        (
            title,
            *(one["first"]["median"], one["first_share"], one["first_times"]),
            *(one["later"] and one["later"]["median"], one["later_share"], one["later_times"]),
            *(one["ram_bytes"] / 1e6, one["disk_bytes"] / 1e6),
        )
        for title, one in found.items()
        if one["first"]
    ]
    print_table(columns, rows)


def enlarged(index: ImageIndex, folder: Path, count: int, size: tuple[int, int]) -> ImageIndex:
    """So many training photos as JPEGs of a size (width, height), as a data set of their own."""
    chosen = some_of(index, count)
    names = [index.classes[label] for label in chosen.column("label")]
    for number, (path, name) in enumerate(zip(chosen.paths(), names, strict=True)):
        place = folder / "train" / name
        place.mkdir(parents=True, exist_ok=True)
        photo = open_rgb(path).resize(size, Image.Resampling.BICUBIC)
        photo.save(place / f"{number}.jpg", quality=88)
    return open_images(folder, val_share=0, test_share=0, cache_dir=folder / "cache").split("train")


def read_all(index: ImageIndex, setting: Setting) -> dict[str, dict[str, float]]:
    """Images/s of reading an index twice, without a network: nothing but the path of pixels.

    A file of decoded pixels with a thread for each core, and as many processes of a DataLoader.
    """
    found = {}
    cores, device = usable_cores().value, torch.device("cpu")
    with tempfile.TemporaryDirectory() as cache:
        ours = lacewing_epochs(index, setting, device, "disk", cores, Path(cache))
        ways = dict(
            [
                (f"lacewing, keep disk, {cores} threads", ours),
                torch_epochs(index, setting, device, cores),
            ]
        )
        for title, epochs in ways.items():
            rates = []
            for epoch in range(2):
                started = time.perf_counter()
                count = sum(len(labels) for _, labels in epochs(epoch))
                rates.append(count / (time.perf_counter() - started))
            found[title] = {"images": len(index), "first": rates[0], "later": rates[1]}
    return found


def sample_of(images: int) -> ImageIndex:
    """The training split of a sample with so many training images or a few more."""
    folder = cache_folder() / "sample" / f"benchmark-{images}"
    if not (folder / "done").exists():
        draw_sample(folder, classes=100, images_per_class=images // 60 + 1)
        (folder / "done").touch()
    return open_images(folder).split("train")


def some_of(index: ImageIndex, count: int) -> ImageIndex:
    """So many training images, evenly chosen."""
    train = index.split("train")
    rows = np.linspace(0, len(train) - 1, min(count, len(train))).astype(int)
    return train.take(np.unique(rows))


def repeated(index: ImageIndex, count: int) -> ImageIndex:
    """Its rows again and again, so many in all."""
    return index.take(np.resize(np.arange(len(index)), count))


def setting_of(chosen: argparse.Namespace) -> Setting:
    """The device's, but for what was asked for."""
    if chosen.quick:
        return QUICK
    asked = {field: value for field, value in vars(chosen).items()
             if field in vars(CPU) and value is not None}  # fmt: skip
    return replace(CPU if chosen.device == "cpu" else GPU, **asked)


def main() -> None:
    """Measure, print the tables, write the result."""
    options = parser(__doc__)
    options.add_argument("--data", default="sample", help="a data set as `lacewing train` takes it")
    options.add_argument("--model", nargs="+", default=MODELS)
    options.add_argument("--images", type=int)
    options.add_argument("--image-size", type=int)
    options.add_argument("--batch", type=int)
    options.add_argument("--epochs", type=int, help="of each turn")
    options.add_argument("--turns", type=int, help="first epochs of each way")
    options.add_argument("--device", default="cpu")
    options.add_argument("--large", action="store_true", help="60 photos of 12 megapixels too")
    options.add_argument("--full", action="store_true", help="read 50,000 sample images too")
    chosen = options.parse_args()
    setting = setting_of(chosen)
    facts = machine_facts(chosen.device)
    everything = open_images(chosen.data, draw_sample=draw_sample)
    index = some_of(everything, setting.images)
    if chosen.device != "cpu":
        index = repeated(index, setting.images)
    models = ["test_resnet"] if chosen.quick else chosen.model
    content: dict[str, Any] = {
        "setting": vars(setting) | {"data": Path(chosen.data).name, "images": len(index)},
        "kept_bytes": kept_bytes(index, setting.preprocessing.resize_size),
        "models": {},
    }
    found: dict[str, dict[str, Any]] = {}

    def keep(title: str, group: dict[str, Any], figures: dict[str, Any]) -> None:
        group[title] = found[title] = figures
        write_result("pixels", facts, content, chosen.results)

    for name in models:
        measure(name, index, setting, chosen.device, partial(keep, name, content["models"]))
        print(f"\n{name}")
        show(found[name])
    if chosen.large:
        count, size = (8, (800, 600)) if chosen.quick else (60, (4000, 3000))
        with tempfile.TemporaryDirectory() as folder:
            photos = enlarged(everything, Path(folder), count, size)
            measure(models[0], photos, setting, chosen.device, partial(keep, "large", content))
        print(f"\n{models[0]}, photos of {size[0]} x {size[1]}")
        show(found["large"])
    if chosen.full:
        content["full"] = read_all(sample_of(200 if chosen.quick else 50_000), setting)
        print("\nreading alone, images/s")
        rows = [(way, one["first"], one["later"]) for way, one in content["full"].items()]
        print_table(("way", "first epoch", "second"), rows)
    print(f"written to {write_result('pixels', facts, content, chosen.results)}")
    sys.exit(any(row["failed"] for rows in found.values() for row in rows.values()))


if __name__ == "__main__":
    main()
