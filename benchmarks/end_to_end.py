"""Whole epochs with images: the loop that most people write, and what `lacewing train` runs.

The plain loop is torchvision's ImageFolder and DataLoader with two worker processes, torchvision's
transforms, fp32, contiguous, AdamW, in a process of its own under torch's own settings. Ours is the
plan of the same network and batch: its precision, passes and loader, chosen by the trial on the
same photos. Both train the same photos an epoch each in turn. The first epoch decodes; in later
ones ours may read pixels that it has kept.

    python benchmarks/end_to_end.py [--quick] [--data FOLDER] [--models NAME ...] [--images 256]
"""

import sys

from lacewing.hardware.process import ready_process

if "--plain" not in sys.argv:
    ready_process()  # as `lacewing train` does

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from math import exp, log
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from apart import Apart, obey
from common import interleaved, machine_facts, parser, print_table, write_result
from lacewing.config import TrainConfig
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore
from lacewing.data.sample import draw_sample
from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import find_optimizer, make_optimizer
from lacewing.engine.prepare import prepare_model, to_format
from lacewing.engine.step import split_batch, train_step
from lacewing.hardware.backends import backend_for
from lacewing.models.build import build_model, preprocessing_for
from lacewing.planning.loaders import loading_of, train_loader
from lacewing.planning.plan import Plan
from lacewing.training.setup import Prepared, prepare
from lacewing.training.trial import with_trial
from pixels import Setting, some_of, torch_epochs
from plan_speed import MODELS, RATE

Epoch = Callable[[int], None]
"""Trains one epoch, whose number it takes."""


def serve_plain_epochs(name: str, index: ImageIndex, setting: Setting) -> None:
    """In a process of its own, the loop that is compared with: an epoch each time it is asked."""
    model = timm.create_model(name, num_classes=len(index.classes)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    batches = torch_epochs(index, setting, torch.device("cpu"), workers=2)

    def run() -> None:
        for images, labels in batches(0):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()

    obey(run)


def planned_epochs(prepared: Prepared, index: ImageIndex, cache: Path) -> Epoch:
    """The plan's loader, passes and step."""
    plan, config = prepared.plan, prepared.config
    backend, number = backend_for(plan.device.value)
    device, size = backend.torch_device(number), plan.image_size.value
    model = build_model(prepared.info, len(index.classes), 0.0, None, size)
    model = prepare_model(model, plan.execution, device).train()
    optimizer = make_optimizer(
        find_optimizer(config.optimizer), model, RATE, 0.01, kernel=plan.optimizer_kernel.value
    )
    rule = preprocessing_for(prepared.info, size, None)
    store = PixelStore(index, rule, keep=plan.pixels.value, cache_dir=cache)
    loader = train_loader(config, index, store, plan.batch.value, loading_of(plan, device))
    scaler, loss = backend.grad_scaler(plan.precision.value), make_loss()

    def run(epoch: int) -> None:
        backend.configure(plan.precision.value, plan.threads.value, False)
        for batch in loader.epoch(epoch):
            images = to_format(batch.images, plan.memory_format.value)
            parts = split_batch(images, batch.labels, plan.micro_batch.value)
            autocast = partial(backend.autocast, plan.precision.value)
            float(train_step(model, optimizer, scaler, loss, parts, autocast).loss)

    return run


def planned(name: str, flags: argparse.Namespace) -> Prepared:
    """What the command would decide."""
    config = TrainConfig(
        data=flags.data, model=name, pretrained=False, batch_size=flags.batch, accumulate=True,
        image_size=flags.image_size, device="cpu", epochs=flags.epochs, plan_budget="20s",
        val_share=0.05, test_share=0.05,
    )  # fmt: skip
    return with_trial(prepare(config))


def way_of(plan: Plan) -> str:
    """In words."""
    return (
        f"{plan.precision.value} {plan.memory_format.value}, passes of {plan.micro_batch.value}, "
        f"{plan.workers.value} threads, pixels in {plan.pixels.value}"
    )


def compare(name: str, index: ImageIndex, flags: argparse.Namespace) -> dict[str, Any]:
    """Images per second of both, in the first epoch and in later ones."""
    images = len(index) // flags.batch * flags.batch
    prepared = planned(name, flags)
    words = [*sys.argv[1:], "--plain", name]
    with tempfile.TemporaryDirectory() as cache, Apart("end_to_end.py", words) as plain:
        train, numbers = planned_epochs(prepared, index, Path(cache)), iter(range(flags.epochs))
        calls = {"plain": plain.call, "planned": lambda: train(next(numbers))}
        seconds = interleaved(calls, rounds=flags.epochs, warm_up=0)
    first = {way: images / times[0] for way, times in seconds.items()}
    later = {way: images / statistics.median(times[1:]) for way, times in seconds.items()}
    return {
        "model": name,
        "plain_first": first["plain"],
        "planned_first": first["planned"],
        "first_ratio": first["planned"] / first["plain"],
        "plain": later["plain"],
        "planned": later["planned"],
        "ratio": later["planned"] / later["plain"],
        "way": way_of(prepared.plan),
    }


def mean_of(rows: list[dict[str, Any]], figure: str) -> float:
    """Geometric."""
    return exp(sum(log(row[figure]) for row in rows) / len(rows))


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", default="sample")
    flags.add_argument("--models", nargs="*", default=list(MODELS))
    flags.add_argument("--images", type=int, default=256)
    flags.add_argument("--image-size", type=int, default=128)
    flags.add_argument("--batch", type=int, default=16)
    flags.add_argument("--epochs", type=int, default=4)
    flags.add_argument("--plain", help="be the process of the plain loop of this network")
    given = flags.parse_args()
    if given.quick:
        given.models, given.images, given.image_size, given.batch = ["test_resnet"], 32, 64, 8
        given.epochs = 3
    facts = machine_facts("cpu")
    everything = open_images(given.data, val_share=0.05, test_share=0.05, draw_sample=draw_sample)
    index = some_of(everything, given.images)
    if given.plain:
        setting = Setting(len(index), given.image_size, given.batch, given.epochs, turns=1)
        serve_plain_epochs(given.plain, index, setting)
        return
    rows = []
    for name in given.models:
        rows.append(compare(name, index, given))
        print(rows[-1], flush=True)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    means = {figure: mean_of(rows, figure) for figure in ("first_ratio", "ratio")}
    print(f"geometric means: first epoch {means['first_ratio']:.2f}, later {means['ratio']:.2f}")
    unnamed = {"results": "", "plain": "", "data": Path(given.data).name}
    content = {"setting": vars(given) | unnamed, "means": means, "rows": rows}
    print(f"written to {write_result('end_to_end', facts, content, given.results)}")


if __name__ == "__main__":
    main()
