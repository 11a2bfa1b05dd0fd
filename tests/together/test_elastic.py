"""A process that is killed: torchrun starts all anew, and the run ends as if nothing had been."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lacewing.store.run import Run, read_lines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find a process by rank"),
]
WAIT_SECONDS = 300


def torchrun(words, home):
    with (home / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "3",
             "--nproc-per-node", "2", "-m", "lacewing", *words],
            stdout=log, stderr=log,
            env=os.environ | {"LACEWING_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip


def process_of(launcher, rank):
    """The process of a rank among a launcher's children."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if parent == launcher.pid and f"RANK={rank}".encode() in variables:
            return int(folder.name)
    return None


def until(condition, launcher, home):
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert launcher.poll() is None, (home / "log").read_text()
        assert time.monotonic() < end, (home / "log").read_text()
        time.sleep(0.02)


def test_a_killed_process_costs_only_the_work_since_the_last_checkpoint(words, launch, tmp_path):
    length = ("--epochs", "6", "--checkpoint-seconds", "0", "--evaluate", "False")
    run = Run(tmp_path / "killed")
    launcher = torchrun(words(run.folder, *length), tmp_path)
    until(lambda: len(list(read_lines(run.metrics))) >= 2, launcher, tmp_path)
    os.kill(process_of(launcher, 1), signal.SIGKILL)
    assert launcher.wait(WAIT_SECONDS) == 0, (tmp_path / "log").read_text()
    assert any(event["kind"] == "resume" for event in read_lines(run.events))
    calm = tmp_path / "calm"
    (ended,) = launch({"processes": 2, "words": words(calm, *length), "run": calm})
    killed = load_file(run.model)
    assert all(torch.equal(killed[name], weight) for name, weight in ended.weights.items())
    same = ("epoch", "step", "train_loss", "val_loss", "val_accuracy")
    rows = [[row[key] for key in same] for row in read_lines(run.metrics)]
    assert rows == [[row[key] for key in same] for row in ended.rows]
