"""A trial on fake devices, whose clock is scripted: figures are exact."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

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


@pytest.fixture
def scene(tmp_path: Path, tint_index, monkeypatch) -> Callable[..., Scene]:
    """`scene(fake, batch_size=8)`: a tiny network on a fake GPU."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))

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
