"""The real command line in this process, and small data sets to point it at."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacewing.cli import main


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def error(self) -> str:
        """Its one sentence, the last line on stderr; fails if there is none, or another."""
        *before, last = self.err.splitlines()
        assert "error:" not in "\n".join([self.out, *before]), self.text
        assert last.startswith("error: "), self.text
        return last.removeprefix("error: ")


@pytest.fixture(autouse=True)
def without_trial(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring takes seconds: only the trial's own tests (test_cli_trial.py) wait for it."""
    if not request.module.__name__.endswith("trial"):
        monkeypatch.setattr("lacewing.training.trial.is_wanted", lambda config: False)


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Ended]:
    """`run("train", "-data", "x")` runs lacewing in an empty folder, and without the network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("LACEWING_DATA", raising=False)
    monkeypatch.delenv("LACEWING_DEBUG", raising=False)

    def call(*words: str) -> Ended:
        code = main([str(word) for word in words])
        return Ended(code, *capsys.readouterr())

    return call


def photo(path: Path, seed: int = 0, side: int = 24) -> Path:
    """A small JPEG that is like no other seed's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture(name="photo")
def photo_maker() -> Callable[..., Path]:
    """`photo(path, seed)` writes one."""
    return photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A sound data set: two classes of twelve images."""
    for number in range(24):
        photo(tmp_path / "photos" / ("ants", "bees")[number % 2] / f"{number}.jpg", number)
    return tmp_path / "photos"
