"""Small runs of timm's smallest networks on the tinted photos."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lacewing.config import TrainConfig
from lacewing.hardware.backend import Backend, BackendTable
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.cpu import CpuBackend
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.hardware.probe import Findings, probe
from lacewing.training.begin import begin
from lacewing.training.session import Session
from lacewing.training.setup import prepare


@pytest.fixture(scope="session")
def cpu_findings() -> Findings:
    """What the test of this machine's CPU gives, which takes a part of a second."""
    return probe(CpuBackend(), 0)


@pytest.fixture(autouse=True)
def nothing_twice(monkeypatch: pytest.MonkeyPatch, cpu_findings: Findings) -> None:
    """The CPU is tested once for all sessions, and no file waits for the disk."""

    def found(backend: Backend, index: int) -> Findings:
        return cpu_findings if type(backend) is CpuBackend else probe(backend, index)

    monkeypatch.setattr("lacewing.hardware.inspect.probe", found)
    monkeypatch.setattr("lacewing.store.atomic.os.fsync", lambda descriptor: None)


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

    The fake in full precision unless asked otherwise: bf16 that is emulated is ten times as slow.
    """

    def start(fake: FakeBackend | None = None, **fields) -> Session:
        backends: BackendTable = fake_backends(fake) if fake else BACKENDS
        words = {"precision": "fp32"} if fake else {"device": "cpu"}
        return begin(prepare(small(**{**words, **fields}), backends), backends)

    return start
