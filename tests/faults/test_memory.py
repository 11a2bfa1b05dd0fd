"""Memory that runs out in one step, and a kill some steps later."""

import signal
import subprocess
import sys

import pytest
import torch

from lacewing.config import TrainConfig, save_config
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.store.run import read_lines
from lacewing.training.begin import begin, reopen
from lacewing.training.loop import train
from lacewing.training.setup import prepare

OUT_AT = 2
KILLED = """
import os, signal, sys
from pathlib import Path
from lacewing.config import TrainConfig, load_config
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.training.begin import begin
from lacewing.training.loop import train
from lacewing.training.setup import prepare

class Killed(FakeBackend):
    def autocast(self, precision):
        if self.forward_calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().autocast(precision)

table = fake_backends(Killed(out_of_memory_at={2}))
config = TrainConfig(**load_config(Path(sys.argv[1])))
train(begin(prepare(config, table), table))
"""


def config(tint_index, folder, name):
    return TrainConfig(
        data=str(tint_index.root), model="test_resnet", pretrained=False, batch_size=8,
        accumulate=True, epochs=2, image_size=32, output=folder, name=name, tensorboard=False,
        learning_rate=0.01, dropout=0.2, optimizer="adamw", threads=1, trial=False,
        checkpoint_seconds=0,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
@pytest.mark.parametrize("killed_at", [6, 8])
def test_the_smaller_passes_outlive_a_kill(tmp_path, tint_index, monkeypatch, killed_at):
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))
    table = fake_backends(FakeBackend(out_of_memory_at={OUT_AT}))
    whole = begin(prepare(config(tint_index, tmp_path, "whole"), table), table)
    train(whole)
    words = tmp_path / "words.yaml"
    save_config(config(tint_index, tmp_path, "killed"), words)
    command = [sys.executable, "-c", KILLED, str(words), str(killed_at)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    resumed = reopen(tmp_path / "killed", fake_backends(FakeBackend()))
    assert resumed.progress.micro_batch == whole.progress.micro_batch == 4
    train(resumed)
    expected = whole.model.state_dict()
    assert all(torch.equal(v, expected[n]) for n, v in resumed.model.state_dict().items())
    kinds = [event["kind"] for event in read_lines(resumed.run.events)]
    assert kinds.count("out-of-memory") == 1
