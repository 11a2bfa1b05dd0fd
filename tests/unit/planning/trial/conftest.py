"""A trial on fake devices, whose clock is scripted: figures are exact."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lacewing.config import TrainConfig
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.hardware.inspect import inspect
from lacewing.hardware.machine import Machine
from lacewing.models.catalog import find_model
from lacewing.performance_config import TIERS
from lacewing.planning.make import make_plan
from lacewing.planning.plan import Plan
from lacewing.planning.trial.findings import Findings, Timed
from lacewing.planning.trial.measure import measure
from lacewing.planning.trial.stage import Work
from lacewing.planning.trial.ways import Way
from lacewing.training.setup import job_of


@dataclass
class Scene:
    """A fake device, and what is to be trained on it."""

    fake: FakeBackend
    config: TrainConfig
    work: Work
    machine: Machine
    """As it was found: what happens to the fake afterwards is not in it."""
    plan: Plan
    backends: dict

    def measure(self, **changes) -> Findings:
        """The trial's findings by the fake's clock; `changes` of the plan first."""
        return measure(
            replace(self.plan, **changes),
            self.config,
            self.machine,
            job_of(self.config, self.work.info, None, self.work.index),
            TIERS[self.plan.tier.value],
            self.work,
            self.backends,
            clock=lambda: self.fake.now,
        )


class SmallestNetwork(nn.Sequential):
    """A convolution, BatchNorm, dropout and a linear layer, in place of a network of timm's."""

    def __init__(self, classes: int, dropout: float) -> None:
        torch.manual_seed(0)
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(8, classes),
        )

    def get_classifier(self) -> nn.Module:
        """The head, by timm's name for it."""
        return self[-1]


@pytest.fixture
def scene(tmp_path: Path, tint_index, monkeypatch) -> Callable[..., Scene]:
    """`scene(fake, batch_size=8)`: the smallest network on a fake GPU, whose clock is scripted."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "lacewing.planning.trial.stage.build_model",
        lambda info, classes, dropout, weights, size: SmallestNetwork(classes, dropout),
    )

    def make(fake: FakeBackend, **fields) -> Scene:
        words = {"data": str(tint_index.root), "model": "test_resnet", "pretrained": False,
                 "batch_size": 8, "image_size": 32, "optimizer": "sgd", "epochs": 2,
                 "threads": 1}  # fmt: skip
        config = TrainConfig(**{**words, **fields})
        info = find_model(config.model)
        backends = {"cpu": lambda: fake} if fake.kind == "cpu" else fake_backends(fake)
        work = Work(tint_index, info, None)
        machine = inspect(None, backends)
        plan = make_plan(config, machine, job_of(config, info, None, tint_index), TIERS, backends)
        return Scene(fake, config, work, machine, plan, backends)

    return make


@pytest.fixture
def way() -> Callable[..., Way]:
    """`way(precision="bf16")`: a way, with changes."""
    fields = {"precision": "fp32", "memory_format": "contiguous", "kernel": "fused",
              "threads": 2, "images": 10}  # fmt: skip
    return lambda **changes: Way(**{**fields, **changes})


@pytest.fixture
def found(way) -> Callable[..., Findings]:
    """`found(best=...)`: findings in which bf16 channels_last is twice as fast, with changes."""

    def make(**changes) -> Findings:
        plain = Timed(way=way(), seconds=1.0)
        fast = Timed(way=way(precision="bf16", memory_format="channels_last"), seconds=0.5)
        slow = Timed(way=way(precision="bf16"), out="slower by 40% after 2 rounds")
        fields = {
            "best": fast,
            "training": (plain, slow, fast),
            "best_forward": Timed(way=fast.way, seconds=0.25),
            "forward": (plain, fast),
            "plain_seconds": 0.1,
        }
        return Findings(**{**fields, **changes})

    return make
