"""Tiny data sets on disk, in every layout that has been seen."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(seed: int, side: int = 16) -> Image.Image:
    """A small picture that looks like no other seed's."""
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8))


def jpeg(path: Path, seed: int, side: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, side).save(path, quality=90)
    return path


def ks_statistic(a: np.ndarray, b: np.ndarray) -> float:
    both = np.sort(np.concatenate([a, b]))
    left = np.searchsorted(np.sort(a), both, side="right") / len(a)
    right = np.searchsorted(np.sort(b), both, side="right") / len(b)
    return abs(left - right).max()


@pytest.fixture
def ks_distance() -> Callable[[np.ndarray, np.ndarray], float]:
    """`ks_distance(a, b)`: the Kolmogorov-Smirnov statistic of two samples."""
    return ks_statistic


@pytest.fixture(name="jpeg")
def jpeg_maker() -> Callable[..., Path]:
    """`jpeg(path, seed)` writes a small JPEG that is like no other seed's."""
    return jpeg


@pytest.fixture
def class_folders() -> Callable[..., Path]:
    """`class_folders(root, {"ants": 3, "bees": 2})` fills a folder per class."""

    def make(root: Path, counts: dict[str, int], first_seed: int = 0) -> Path:
        seed = first_seed
        for name, count in counts.items():
            for number in range(count):
                jpeg(root / name / f"{number:03}.jpg", seed)
                seed += 1
        return root

    return make


@pytest.fixture
def ip102() -> Callable[..., Path]:
    """`ip102(root, classes=4)` writes the official layout; `per` images a class and split."""

    def make(root: Path, classes: int = 4, per: int = 2, names: list[str] | None = None) -> Path:
        number = 0
        for split in ("train", "val", "test"):
            lines = []
            for label in range(classes):
                for _ in range(per):
                    jpeg(root / "images" / f"{number:05}.jpg", number)
                    lines.append(f"{number:05}.jpg {label}\n")
                    number += 1
            (root / f"{split}.txt").write_text("".join(lines))
        if names is not None:
            lines = [f"{n:<4}{name}\n" for n, name in enumerate(names, 1)]
            (root / "classes.txt").write_text("".join(lines))
        return root

    return make


@pytest.fixture
def tarred() -> Callable[[Path, Path], Path]:
    """`tarred(folder, archive)` packs a folder under its own name."""

    def make(folder: Path, archive: Path) -> Path:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "w") as tar:
            tar.add(folder, arcname=folder.name)
        return archive

    return make


@pytest.fixture
def jpeg_bytes() -> bytes:
    """A whole JPEG file."""
    buffer = io.BytesIO()
    picture(7, side=64).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or fills, the cache and the data folders of whoever runs it."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("LACEWING_DATA", raising=False)
