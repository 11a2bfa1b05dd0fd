"""IP102's size on this machine: photos and lists to a trained, judged model, by stage.

The real images are not free to pass on, so a tree of the same shape is made of the photos at
hand: the official layout and list sizes (45,095 training, 7,508 validation images), 102 classes
of 42 to 3,444 training images. Class k holds photos of kind k mod 12 in a tint of its own, each
cropped, mirrored and encoded anew. What is timed is the size of the job; the accuracy says only
that it was learnt.

For comparison, one epoch of a plain loop at the same image size, extrapolated from some steps.

    python benchmarks/ip102_scale.py [--quick] [--data FOLDER] [--tree FOLDER] [--budget 10m]
"""

import colorsys
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from common import PHOTOS, machine_facts, parser, photos, print_table, write_result
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.models.weights import fetch_weights

CLASSES, LARGEST, SMALLEST = 102, 3444, 42
SIZES = {"train": 45_095, "val": 7_508, "test": 2_000}
QUICK_SIZES = {"train": 600, "val": 204, "test": 204}


def class_sizes(total: int) -> np.ndarray:
    """Images per class, int [102]: IP102's long tail in the training list, scaled to a total."""
    place = np.linspace(1, 0, CLASSES)

    def tail(power: float) -> np.ndarray:
        return SMALLEST + (LARGEST - SMALLEST) * place**power

    low, high = 0.1, 50.0
    for _ in range(60):
        power = (low + high) / 2
        low, high = (power, high) if tail(power).sum() > SIZES["train"] else (low, power)
    sizes = np.maximum(1, np.floor(tail(power) * total / SIZES["train"])).astype(int)
    sizes[0] += total - sizes.sum()
    return sizes


def varied(photo: Image.Image, kind: int, random: np.random.Generator) -> Image.Image:
    """A crop of a photo, perhaps mirrored, in the tint of its class."""
    width, height = photo.size
    share = random.uniform(0.75, 1.0)
    left, top = random.uniform(0, 1 - share, 2) * (width, height)
    box = (left, top, left + share * width, top + share * height)
    image = photo.resize((300, 213), Image.Resampling.BILINEAR, box=box)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tint = colorsys.hsv_to_rgb(kind / 9, 0.5, 1.0)
    pixels = np.asarray(image, np.float32) * (0.5 + 0.5 * np.array(tint, np.float32))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def make_tree(folder: Path, data: Path, sizes: dict[str, int]) -> None:
    """Write the photos and lists in IP102's official layout, unless they are there."""
    if (folder / "classes.txt").is_file():
        return
    kinds = sorted(path for path in (data / "train").iterdir() if path.is_dir())
    photos = [[Image.open(p).convert("RGB") for p in sorted(k.iterdir())[:60]] for k in kinds]
    random = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    number = 0
    for split, total in sizes.items():
        lines = []
        for label, count in enumerate(class_sizes(total)):
            own = photos[label % len(photos)]
            for _ in range(count):
                image = varied(own[random.integers(len(own))], label // len(photos), random)
                image.save(folder / "images" / f"{number:05d}.jpg", quality=85)
                lines.append(f"{number:05d}.jpg {label}")
                number += 1
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    names = [f"{n + 1} {kinds[n % len(kinds)].name} {n // len(kinds)}" for n in range(CLASSES)]
    (folder / "classes.txt").write_text("\n".join(names) + "\n")


def lacewing_run(tree: Path, budget: str, model: str) -> dict[str, object]:
    """The whole command, and its stages in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "lacewing", "train", "--data", str(tree), "--model", model,
                 "--budget", budget, "--device", "cpu", "--output", folder, "--name",
                 "run"]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(words, check=True)
        seconds = time.perf_counter() - start
        run = Path(folder) / "run"
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        results = json.loads((run / "results.json").read_text())
    test = results["splits"]["test"]
    stages = {f"epoch {row['epoch']}": row["seconds"] for row in rows}
    return {
        "seconds": seconds,
        "stages": stages,
        "rest": seconds - sum(stages.values()),
        "test_accuracy": test["top1"],
        "test_macro_f1": test["f1"],
        "recipe": results["recipe"],
    }


class ListedPhotos(Dataset):
    """The training list, as a tutorial would read it."""

    def __init__(self, tree: Path, size: int) -> None:
        lines = (tree / "train.txt").read_text().splitlines()
        self.items = [(tree / "images" / name, int(n)) for name, n in map(str.split, lines)]
        self.change = transforms.Compose(
            [
                transforms.RandomResizedCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * 3, (0.5,) * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        path, label = self.items[row]
        return self.change(Image.open(path).convert("RGB")), label


def plain_epoch_seconds(tree: Path, model: str, size: int, steps: int) -> float:
    """One epoch of a plain loop (Adam, batch 16, fp32), extrapolated from some steps."""
    info = find_model(model)
    network = build_model(info, CLASSES, 0.0, fetch_weights(info), size).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(ListedPhotos(tree, size), 16, shuffle=True, num_workers=1, drop_last=True)
    batches = iter(loader)
    next(batches)
    start = time.perf_counter()
    for _ in range(steps):
        images, labels = next(batches)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return (time.perf_counter() - start) / steps * len(loader)


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", type=photos, default=str(PHOTOS))
    flags.add_argument("--tree", type=Path, help="where the tree is made, and kept")
    flags.add_argument("--budget", default="10m")
    flags.add_argument("--model", default="efficientnet_lite0")
    given = flags.parse_args()
    sizes = QUICK_SIZES if given.quick else SIZES
    with tempfile.TemporaryDirectory() as made:
        tree = (given.tree or Path(made)) / "ip102_v1.1"
        make_tree(tree, given.data, sizes)
        facts = machine_facts()
        run = lacewing_run(tree, "60s" if given.quick else given.budget, given.model)
        size = run["recipe"]["features"]["size"]
        epoch = plain_epoch_seconds(tree, given.model, size, 3 if given.quick else 500)
    rows = [
        *((name, seconds) for name, seconds in run["stages"].items()),
        ("scan, decisions, judging, report", run["rest"]),
        ("lacewing in all", run["seconds"]),
        (f"one epoch of a plain loop at {size} pixels", epoch),
    ]
    print_table(("stage", "seconds"), rows)
    print(f"test accuracy {run['test_accuracy']:.3f}, macro F1 {run['test_macro_f1']:.3f}")
    content = {"images": sizes, "lacewing": run, "plain_epoch_seconds": epoch, "size": size}
    print(write_result("ip102_scale", facts, content, given.results))


if __name__ == "__main__":
    main()
