"""Small runs of timm's smallest networks on the tinted photos."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lacewing.config import TrainConfig
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.training.begin import begin
from lacewing.training.session import Session
from lacewing.training.setup import prepare


@pytest.fixture
def small(tmp_path: Path, tint_index, monkeypatch) -> Callable[..., TrainConfig]:
    """`small(epochs=3)`: a configuration that trains in a second."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))
    fields = {
        "data": str(tint_index.root),
        "model": "test_resnet",
        "pretrained": False,
        "batch_size": 6,
        "accumulate": True,
        "epochs": 2,
        "image_size": 32,
        "val_share": 0.2,
        "output": tmp_path / "runs",
        "tensorboard": False,
        "learning_rate": 0.01,
        "optimizer": "sgd",
        "threads": 1,
        "trial": False,
    }
    return lambda **more: TrainConfig(**{**fields, **more})


@pytest.fixture
def begun(small) -> Callable[..., Session]:
    """`begun(fake, epochs=3)`: a session on a fake GPU, or on the CPU without one.

    In full precision unless asked otherwise: where bf16 is emulated, it is ten times as slow.
    """

    def start(fake: FakeBackend | None = None, **fields) -> Session:
        backends: BackendTable = fake_backends(fake) if fake else BACKENDS
        words = {"device": None if fake else "cpu", "precision": "fp32", **fields}
        return begin(prepare(small(**words), backends), backends)

    return start
