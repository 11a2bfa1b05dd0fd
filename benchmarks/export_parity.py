"""Every export format against the original, on six networks: same answers, size, speed.

Each network keeps random weights but for its head, which is fitted by least squares to pictures of
four colours: that takes seconds, and gives answers as sure as a trained network's. (Rounding to 8
bits moves an answer that was a close call: of a network that guesses, `onnx-int8` is refused.) The
figures are those that `lacewing export` compares and refuses by, on 100 validation pictures.

    python benchmarks/export_parity.py [--quick] [--models resnet18 ...]

Networks that an earlier call of the same day measured stay in the result file, so that one call
need not measure all.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from common import machine_facts, parser, print_table, write_result
from lacewing.data.batch import normalised_squares
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.export.carry_out import export_run
from lacewing.deploy.predict import read_square
from lacewing.errors import LacewingError
from lacewing.models.build import build_model, features, linear_head, preprocessing_for
from lacewing.models.bundle import save_model
from lacewing.models.catalog import find_model
from lacewing.store.run import Run

MODELS = ("resnet18", "mobilenetv3_small_100", "tf_efficientnet_lite0", "regnety_002",
          "convnext_atto", "deit_tiny_patch16_224")  # fmt: skip
FORMATS = ("onnx", "onnx-int8", "torchscript", "pt2", "hub")
COLOURS = {"green": (60, 170, 70), "red": (180, 60, 50), "blue": (70, 80, 190),
           "yellow": (200, 180, 60)}  # fmt: skip
PER_SPLIT = {"train": 40, "val": 25}


def draw_pictures(root: Path) -> None:
    """Split folders of JPEGs, each like no other: coarse noise around the class's colour."""
    random = np.random.default_rng(0)
    for split, count in PER_SPLIT.items():
        for name, colour in COLOURS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = random.normal(0, 50, (9, 9, 3)) + np.array(colour)
                coarse = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
                picture = coarse.resize((240, 180), Image.Resampling.BICUBIC)
                picture.save(folder / f"{number}.jpg", quality=90)


def fit_head(model: nn.Module, inputs: Tensor, labels: Tensor, classes: int) -> None:
    """Ridge regression from pooled features to logits of 6 for the right class and 0 else."""
    found = torch.cat([features(model, part) for part in inputs.split(32)])
    centre = found.mean(0)
    centred = found - centre
    ridge = 1e-3 * centred.square().mean() * len(found)
    targets = 6.0 * nn.functional.one_hot(labels, classes).float()
    gram = centred.T @ centred + ridge * torch.eye(found.shape[1])
    weight = torch.linalg.solve(gram, centred.T @ (targets - targets.mean(0))).T
    head = linear_head(model)
    with torch.no_grad():
        head.weight.copy_(weight.view_as(head.weight))
        head.bias.copy_(targets.mean(0) - weight @ centre)


def fitted(name: str, index: ImageIndex, size: int) -> tuple[nn.Module, Preprocessing]:
    """The network and its preprocessing."""
    info = find_model(name)
    torch.manual_seed(0)
    model = build_model(info, len(index.classes), 0.0, None, size).eval()
    rule = preprocessing_for(info, size, None)
    part = index.split("train")
    squares = np.stack([read_square(Path(path), rule) for path in part.paths()])
    labels = torch.from_numpy(part.column("label").astype(np.int64))
    fit_head(model, normalised_squares(squares, rule), labels, len(index.classes))
    return model, rule


def make_run(folder: Path, name: str, index: ImageIndex, size: int) -> Run:
    """What an export needs of a run's folder."""
    run = Run(folder)
    folder.mkdir()
    run.config.write_text("epochs: 1\n", encoding="utf-8")
    index.save(run.index)
    model, rule = fitted(name, index, size)
    fields = {
        "model": name,
        "classes": list(index.classes),
        "class_ids": list(range(len(index.classes))),
        "dropout": 0.0,
        "preprocessing": rule.as_dict(),
        "figures": {},
    }
    save_model(run.model, model.state_dict(), fields)
    return run


def measure(name: str, index: ImageIndex, flags: argparse.Namespace, place: Path) -> list[Any]:
    """A row for each format: the comparison, or why it was refused."""
    run = make_run(place / name, name, index, flags.image_size)
    rows = []
    for format in flags.formats:
        try:
            comparison = export_run(run.folder, format).comparison.as_dict()
        except LacewingError as error:
            comparison = {"refused": str(error)}
        rows.append({"model": name, "image_size": flags.image_size, "format": format, **comparison})
    return rows


def earlier(folder: Path, date: str, done: set[str]) -> list[Any]:
    """Rows of the day's result file for networks that were not measured now."""
    files = folder.glob(f"export_parity_*_{date}.json")
    rows = [row for file in files for row in json.loads(file.read_text())["rows"]]
    return [row for row in rows if row["model"] not in done]


def shown(row: dict[str, Any]) -> tuple[Any, ...]:
    """A line of the table."""
    if "refused" in row:
        return row["model"], row["format"], "refused", "", "", "", ""
    return (
        row["model"], row["format"], f"{row['agreement']:.1%}", f"{row['largest_difference']:.1e}",
        f"{row['original_accuracy']:.1%} -> {row['exported_accuracy']:.1%}",
        f"{row['original_bytes'] / 2**20:.1f} -> {row['exported_bytes'] / 2**20:.1f} MiB",
        f"{row['original_seconds'] * 1e3:.1f} -> {row['exported_seconds'] * 1e3:.1f} ms",
    )  # fmt: skip


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--models", nargs="*", default=list(MODELS))
    flags.add_argument("--formats", nargs="*", default=list(FORMATS))
    flags.add_argument("--image-size", type=int, default=128)
    given = flags.parse_args()
    if given.quick:
        given.models, given.formats, given.image_size = ["test_resnet"], ["pt2", "hub"], 64
    facts = machine_facts()
    with tempfile.TemporaryDirectory() as place:
        draw_pictures(Path(place) / "pictures")
        index = open_images(str(Path(place) / "pictures"), val_share=0.0, test_share=0.0)
        rows = [row for name in given.models
                for row in measure(name, index, given, Path(place))]  # fmt: skip
    columns = ("network", "format", "agree", "largest difference", "accuracy", "file", "one image")
    print_table(columns, [shown(row) for row in rows])
    kept = earlier(given.results, facts["date"], set(given.models))
    written = write_result("export_parity", facts, {"rows": kept + rows}, given.results)
    print(f"written to {written}")


if __name__ == "__main__":
    main()
