"""One training as several processes of the real command, over gloo on this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from lacewing.store.run import Run, read_lines

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Ended:
    """A training that is over."""

    codes: list[int]
    run: Run
    logs: list[str]
    order: dict[int, list[int]]
    """The images of each step, over all processes."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(read_lines(self.run.metrics))

    @property
    def weights(self) -> dict[str, Tensor]:
        return load_file(self.run.model)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in read_lines(self.run.events) if event["kind"] == kind]


@pytest.fixture(scope="session")
def words(tint_index) -> Callable[..., list[str]]:
    """`words(folder, "--epochs", "9")`: the command of a small training into the folder."""

    def said(folder: Path, *more: str) -> list[str]:
        usual = {
            "--data": str(tint_index.root), "--model": "test_resnet", "--pretrained": "False",
            "--batch-size": "6", "--accumulate": "True", "--epochs": "2", "--image-size": "32",
            "--tensorboard": "False", "--device": "cpu", "--threads": "1", "--trial": "False",
            "--optimizer": "sgd", "--learning-rate": "0.01", "--patience": "0",
            "--precision": "fp32", "--memory-format": "contiguous", "--workers": "0",
            "--name": folder.name, "--output": str(folder.parent),
        }  # fmt: skip
        given = dict(zip(more[::2], more[1::2], strict=True))
        return ["train", *(word for pair in (usual | given).items() for word in pair)]

    return said


@pytest.fixture(scope="session")
def launch(tmp_path_factory) -> Callable[..., list[Ended]]:
    """`launch({"processes": 2, "words": [...], "run": folder}, ...)`: the cases, in turn."""

    def start(*cases: dict[str, Any]) -> list[Ended]:
        home = tmp_path_factory.mktemp("together")
        for number, case in enumerate(cases):
            case["log"] = str(home / f"log-{number}")
        script = home / "cases.json"
        script.write_text(json.dumps([case | {"run": str(case["run"])} for case in cases]))
        environment = os.environ | {
            "LACEWING_CACHE": str(home / "cache"), "LACEWING_GROUP_TIMEOUT": "60",
            "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, str(LAUNCH), str(script)],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [
            Ended(codes, Run(Path(case["run"])), logs_of(case), order_of(case))
            for codes, case in zip(json.loads(done.stdout.splitlines()[-1]), cases, strict=True)
        ]

    return start


def order_of(case: dict[str, Any]) -> dict[int, list[int]]:
    order: dict[int, list[int]] = {}
    for rank in range(case["processes"]):
        for step in read_lines(Path(f"{case['log']}.{rank}.rows")):
            order.setdefault(step["step"], []).extend(step["rows"])
    return order


def logs_of(case: dict[str, Any]) -> list[str]:
    return [Path(f"{case['log']}.{rank}").read_text() for rank in range(case["processes"])]
