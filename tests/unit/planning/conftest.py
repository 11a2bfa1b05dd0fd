"""Recorded machines by name, and a job whose parts a test may change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lacewing.config import TrainConfig
from lacewing.hardware.machine import Machine
from lacewing.planning.job import Job
from lacewing.planning.make import make_plan
from lacewing.planning.plan import Plan

MACHINES = Path(__file__).parents[2] / "machines"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Machine]:
    """A recorded machine by its name."""
    return lambda name: Machine.load(MACHINES / f"{name}.json")


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """A job of 1,000 images for a network of 224 pixels, with changes."""

    def make(**changes: object) -> Job:
        fields = {
            "training_images": 1000,
            "classes": 5,
            "model": "resnet18",
            "native_size": 224,
            "min_size": 32,
            "fixed_size": False,
            "pretrained": True,
            "optimizer": "Adam",
            "default_learning_rate": 3e-4,
            "optimizer_kernels": ("foreach", "fused"),
        }
        return Job(**{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def plan_on(recorded, make_job) -> Callable[..., Plan]:
    """The plan on a recorded machine for a configuration's words."""

    def plan(name: str, job: Job | None = None, **words: object) -> Plan:
        return make_plan(TrainConfig(**words), recorded(name), job or make_job())

    return plan
