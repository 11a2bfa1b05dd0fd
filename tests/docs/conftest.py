"""The pages of the documentation, their code blocks, and a folder to try them in.

A test that asks for `page`, `snippet`, `settings`, `tier_file`, `command_line` or `mention`
runs once for each that there is.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lacewing.api
from lacewing.config import TrainConfig
from lacewing.running.decide import run_plan
from lacewing.running.train import run_training

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(lacewing \w[^`]*)`")
PROGRAMS = {"lacewing": (), "python": ("Trainmain.py",)}
TINY = {
    "model": "test_resnet",
    "pretrained": False,
    "image_size": 32,
    "trial": False,
    "tensorboard": False,
}
"""What makes a snippet's training quick; what the snippet says itself stands above."""


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language; "" for those that name none."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def command_lines(page: Path) -> list[str]:
    """Every call of lacewing in a page's blocks, without its comment."""
    lines = [line for block in blocks(page, "") for line in block.splitlines()]
    called = [line.partition(" #")[0].strip() for line in lines]
    return [line for line in called if is_call(line) and page.name != "cli.md"]


def mentions(page: Path) -> list[str]:
    """Every call in a page's sentences, which may leave out what the command needs."""
    return INLINE.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))


def is_call(line: str) -> bool:
    """Whether a line calls lacewing, by its own name or the classic one."""
    first, *rest = line.split()[:2] or [""]
    first = first.removeprefix(".venv/bin/")
    return first in PROGRAMS and tuple(rest[: len(PROGRAMS[first])]) == PROGRAMS[first]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run of a test for each page, block or call that it asks for."""
    found = {
        "page": [(page, page) for page in PAGES],
        "snippet": [(page, text) for page in PAGES for text in blocks(page, "python")],
        "settings": [(page, text) for page in PAGES for text in blocks(page, "yaml")],
        "tier_file": [(page, text) for page in PAGES for text in blocks(page, "toml")],
        "command_line": [(page, line) for page in PAGES for line in command_lines(page)],
        "mention": [(page, text) for page in PAGES for text in mentions(page)],
    }
    for name in found.keys() & set(metafunc.fixturenames):
        ids = [f"{page.stem}-{number}" for number, (page, _) in enumerate(found[name])]
        metafunc.parametrize(name, [value for _, value in found[name]], ids=ids)


def draw(path: Path, seed: int) -> None:
    """A small JPEG that is like no other seed's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture(scope="session")
def tried_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of one epoch on twenty-four tiny photos, which lie beside it."""
    folder = tmp_path_factory.mktemp("docs")
    for number in range(24):
        draw(folder / "photos" / ("aphid", "ladybird")[number % 2] / f"{number}.jpg", number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LACEWING_CACHE", str(folder / ".cache"))
        run = lacewing.api.train(
            data=str(folder / "photos"), epochs=1, output=folder / "runs", name="RUN", **TINY
        )  # fmt: skip
    return run.folder


@pytest.fixture
def desk(tried_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: `photos`, `leaf.jpg` and `runs/RUN`, and quick training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "photos").symlink_to(tried_run.parents[1] / "photos")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "RUN").symlink_to(tried_run)
    draw(tmp_path / "leaf.jpg", 99)
    monkeypatch.setattr(lacewing.api, "train", lambda **f: run_training(TrainConfig(**(TINY | f))))
    monkeypatch.setattr(lacewing.api, "plan", lambda **f: run_plan(TrainConfig(**(TINY | f))))
    return tmp_path
