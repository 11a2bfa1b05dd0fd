"""A finished run of three tints, small enough to be made anew by each test process."""

import gc
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings as hypothesis_settings
from PIL import Image
from torch import Tensor, nn

from lacewing.data.batch import normalised_squares
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.predict import read_square
from lacewing.models.build import build_model, features, linear_head, preprocessing_for
from lacewing.models.bundle import save_model
from lacewing.models.catalog import find_model
from lacewing.store.run import Run, write_json

# a deadline would make a busy machine fail a test: timings belong to the benchmarks
hypothesis_settings.register_profile("lacewing", deadline=None)
hypothesis_settings.load_profile("lacewing")


def pytest_collection_finish() -> None:
    """A run collects garbage each epoch: not also in all that torch and the tests have made."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Nor in what the tests of a file have imported late."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: at the end, one process would wait for the other to finish them.

    So are those that share long trainings: what a process takes over from the other begins anywhere
    in a file, and would repeat them.
    """
    first = ("real", "together")
    items.sort(key=lambda item: item.path.parent.name not in first)


TINTS = {"aphid": (60, 170, 70), "beetle": (180, 60, 50), "moth": (70, 80, 190)}
PER_SPLIT = {"train": 8, "val": 5}
SIDE = 64


def tinted(name: str, seed: int, width: int = 96, height: int = 72) -> Image.Image:
    """A picture of one class, smooth as a photo is."""
    noise = np.random.default_rng(seed).normal(0, 40, (9, 9, 3)) + np.array(TINTS[name])
    coarse = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def draw_photos(root: Path) -> None:
    """Fill split folders with JPEGs, each like no other."""
    seed = 0
    for split, count in PER_SPLIT.items():
        for name in TINTS:
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                tinted(name, seed).save(folder / f"{number}.jpg", quality=90)
                seed += 1


def fit_head(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Least squares on frozen features: a network that is sure, without any training."""
    found = features(model, inputs)
    centre = found.mean(0)
    ridge = 1e-3 * (found - centre).square().mean() * len(found)
    # logits of 6 for the right class and 0 for the others
    targets = 6.0 * nn.functional.one_hot(labels, len(TINTS)).float()
    gram = (found - centre).T @ (found - centre) + ridge * torch.eye(found.shape[1])
    weight = torch.linalg.solve(gram, (found - centre).T @ (targets - targets.mean(0))).T
    head = linear_head(model)
    with torch.no_grad():
        head.weight.copy_(weight.view_as(head.weight))
        head.bias.copy_(targets.mean(0) - weight @ centre)


def trained(name: str, index: ImageIndex) -> tuple[nn.Module, Preprocessing]:
    """A network with random weights and a head that fits the training images."""
    info = find_model(name)
    torch.manual_seed(0)
    model = build_model(info, len(TINTS), dropout=0.0, weights=None, image_size=SIDE).eval()
    rule = preprocessing_for(info, SIDE, None)
    part = index.split("train")
    squares = np.stack([read_square(Path(path), rule) for path in part.paths()])
    labels = torch.from_numpy(part.column("label").astype(np.int64))
    fit_head(model, normalised_squares(squares, rule), labels)
    return model, rule


def fill_run(folder: Path, name: str, index: ImageIndex) -> Run:
    """The files of a run that predict, export and serve need."""
    run = Run(folder)
    folder.mkdir()
    run.config.write_text("epochs: 1\n", encoding="utf-8")
    index.save(run.index)
    write_json(run.dataset, index.summary())
    model, rule = trained(name, index)
    fields = {
        "model": name,
        "classes": list(index.classes),
        "class_ids": ["0", "1", "2"],
        "dropout": 0.0,
        "preprocessing": rule.as_dict(),
        "figures": {"val_accuracy": 1.0},
    }
    save_model(run.model, model.state_dict(), fields)
    return run


@pytest.fixture(scope="session")
def tint_index(tmp_path_factory: pytest.TempPathFactory) -> ImageIndex:
    """24 training and 15 validation photos of three classes."""
    root = tmp_path_factory.mktemp("tints") / "photos"
    draw_photos(root)
    return open_images(str(root), val_share=0.0, test_share=0.0)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, tint_index: ImageIndex) -> Run:
    """A run of a tiny network that knows the classes. Read only: see `copied_run`."""
    return fill_run(tmp_path_factory.mktemp("runs") / "run", "test_resnet", tint_index)


@pytest.fixture
def copied_run(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of it to write into."""
    shutil.copytree(finished_run.folder, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture
def make_finished_run(tmp_path: Path, tint_index: ImageIndex) -> Callable[[str], Run]:
    """`make_finished_run("resnet18")`: a run of another network."""
    return lambda name: fill_run(tmp_path / f"run-{name}", name, tint_index)


@pytest.fixture(name="tinted")
def tinted_maker() -> Callable[..., Image.Image]:
    """`tinted("moth", seed)` draws a picture of a class."""
    return tinted
