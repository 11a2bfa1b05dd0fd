"""The most memory that training takes: the loop that most people write, and `lacewing train`.

Both train an epoch of the sample data as programs of their own, one after the other, with the same
network, batch and image size from random weights. The plain loop is torchvision's ImageFolder and
DataLoader with two worker processes, fp32, AdamW, and nothing else. Ours is the whole command with
its trial, validation, judging and report. What is counted is the proportional set size of the
program and all its processes, looked at twenty times a second: memory that two of them share counts
once. Linux only. The result is written anew after each row.

    python benchmarks/memory.py [--quick] [--models NAME ...] [--batches 16 64]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from math import exp, log
from pathlib import Path
from typing import Any

import psutil

from common import machine_facts, parser, print_table, write_result
from time_to_accuracy import sample_folder

MODELS = ("resnet18", "resnet50", "mobilenetv2_100", "efficientnet_b0")
EVERY = 0.05
"""Seconds between two looks."""
MIB = 2**20

PLAIN = """
import sys, torch, timm
from torch import nn
from torchvision import datasets, transforms

folder, name, batch, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
change = transforms.Compose([
    transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])
images = datasets.ImageFolder(folder, change)
loader = torch.utils.data.DataLoader(images, batch, shuffle=True, num_workers=2, drop_last=True)
model = timm.create_model(name, num_classes=len(images.classes))
optimizer = torch.optim.AdamW(model.parameters())
for batch, labels in loader:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(batch), labels).backward()
    optimizer.step()
"""


def peak_bytes(words: Sequence[str]) -> int:
    """The most that a program and its processes take. Raises RuntimeError if it fails."""
    with tempfile.TemporaryFile() as log_file:
        running = psutil.Popen(words, stdout=log_file, stderr=subprocess.STDOUT)
        most = 0
        while running.poll() is None:
            most = max(most, bytes_of(running))
            time.sleep(EVERY)
        if running.returncode:
            log_file.seek(0)
            raise RuntimeError(log_file.read().decode()[-2000:])
    return most


def bytes_of(process: psutil.Process) -> int:
    """What a process and those below it take now; of one that just ended, nothing."""
    total = 0
    with suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.memory_full_info().pss
    return total


def ours(folder: Path, name: str, batch: int, size: int, runs: str) -> list[str]:
    """The command."""
    return [
        sys.executable, "-m", "lacewing", "train", "--data", str(folder), "--model", name,
        "--pretrained", "False", "--batch-size", str(batch), "--accumulate", "--image-size",
        str(size), "--epochs", "1", "--optimizer", "adamw", "--device", "cpu", "--output", runs,
        "--name", f"{name}-{batch}",
    ]  # fmt: skip


def compare(folder: Path, name: str, batch: int, size: int) -> dict[str, Any]:
    """Both peaks."""
    plain = [sys.executable, "-c", PLAIN, str(folder / "train"), name, str(batch), str(size)]
    with tempfile.TemporaryDirectory() as runs:
        peaks = {
            "plain_bytes": peak_bytes(plain),
            "lacewing_bytes": peak_bytes(ours(folder, name, batch, size, runs)),
        }
    return {
        "model": name,
        "batch": batch,
        **peaks,
        "ratio": peaks["lacewing_bytes"] / peaks["plain_bytes"],
    }


def measured(folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """A row for each network and batch, and the mean of their ratios; written with each."""
    facts, rows = machine_facts(), []
    content: dict[str, Any] = {"image_size": flags.image_size}
    for name, batch in product(flags.models, flags.batches):
        rows.append(compare(folder, name, batch, flags.image_size))
        mean = exp(sum(log(row["ratio"]) for row in rows) / len(rows))
        content |= {"geometric_mean": mean, "rows": rows}
        path = write_result("memory", facts, content, flags.results)
        print(rows[-1], flush=True)
    print(f"written to {path}")
    return content


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--models", nargs="*", default=list(MODELS))
    flags.add_argument("--batches", nargs="*", type=int, default=[16, 64])
    flags.add_argument("--image-size", type=int, default=128)
    given = flags.parse_args()
    if given.quick:
        given.models, given.batches, given.image_size = ["test_resnet"], [8], 32
    with tempfile.TemporaryDirectory() as place:
        found = measured(sample_folder(Path(place)), given)
    print_table(
        ["model", "batch", "plain MiB", "lacewing MiB", "ratio"],
        [
            [row["model"], row["batch"], row["plain_bytes"] / MIB, row["lacewing_bytes"] / MIB,
             row["ratio"]]
            for row in found["rows"]
        ],
    )  # fmt: skip
    print(f"geometric mean of the ratios {found['geometric_mean']:.2f}")


if __name__ == "__main__":
    main()
