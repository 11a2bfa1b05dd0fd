"""Real runs of the real command in processes of their own, to be hurt."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lacewing.store.run import Run

WAIT_SECONDS = 300
"""For anything at all; a machine that is busy is no failure."""


class Process:
    """`lacewing train` on the tints, started and to be watched."""

    def __init__(self, words: list[str], folder: Path, home: Path, prefix: list[str]) -> None:
        environment = os.environ | {"LACEWING_CACHE": str(home / "cache"), "HF_HUB_OFFLINE": "1"}
        self.run = Run(folder)
        self.output = home / f"{time.monotonic_ns()}.log"
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "lacewing", *words],
                stdout=log, stderr=log, env=environment,
            )  # fmt: skip

    @property
    def text(self) -> str:
        """What it has said so far, without line breaks."""
        return " ".join(self.output.read_text().split())

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds; fails if the process ends before."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.02)

    def until_epoch(self, epoch: int) -> None:
        """Wait until so many epochs are written down."""
        self.until(lambda: rows(self.run) >= epoch)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def code(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(WAIT_SECONDS)


def rows(run: Run) -> int:
    """Epochs in metrics.jsonl."""
    return run.metrics.read_bytes().count(b"\n") if run.metrics.is_file() else 0


@pytest.fixture
def launch(tmp_path: Path, tint_index) -> Iterator[Callable[..., Process]]:
    """`launch("--epochs", "9")` trains into `runs/run`; `launch.words(...)` resumes it."""
    started: list[Process] = []

    def start(
        *more: str, words: list[str] | None = None, output: Path | None = None,
        prefix: tuple[str, ...] = (),
    ) -> Process:  # fmt: skip
        output = output or tmp_path / "runs"
        usual = {
            "--data": str(tint_index.root), "--model": "test_resnet", "--pretrained": "False",
            "--batch-size": "8", "--epochs": "3", "--image-size": "32", "--tensorboard": "False",
            "--device": "cpu", "--threads": "1", "--trial": "False", "--optimizer": "sgd",
            "--patience": "0", "--name": "run", "--output": str(output),
        }  # fmt: skip
        given = dict(zip(more[::2], more[1::2], strict=True))
        all_words = [word for pair in (usual | given).items() for word in pair]
        output.mkdir(exist_ok=True)
        process = Process(words or ["train", *all_words], output / "run", tmp_path, list(prefix))
        started.append(process)
        return process

    yield start
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
            process.process.wait()
