"""Disks that are full, read-only, or limited: real ones where the system lets us mount them."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lacewing.models.bundle import load_model
from lacewing.store.run import read_lines
from lacewing.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow


def mounted(place: Path, *options: str) -> bool:
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(place)]
    return (
        shutil.which("mount") is not None
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )


@pytest.fixture
def disk(tmp_path):
    """A disk of 24 MiB of its own."""
    place = tmp_path / "disk"
    if not mounted(place, "-o", "size=24m"):
        pytest.skip("nothing can be mounted here")
    yield place
    while place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    file = disk / "filler"
    with file.open("wb", buffering=0) as opened:
        try:
            while opened.write(bytes(1 << 16)):
                pass
        except OSError:
            os.fsync(opened.fileno())
    return file


def kinds(run):
    return [event["kind"] for event in read_lines(run.events)]


def test_a_full_disk_costs_a_warning_and_no_checkpoint(launch, disk):
    training = launch("--epochs", "100000", output=disk)
    training.until_epoch(2)
    filler = fill(disk)
    training.until(lambda: "could not be written" in training.text)
    load_checkpoint(training.run)
    filler.unlink()
    training.until(lambda: "checkpoints can be written again" in training.text)
    training.send(signal.SIGTERM)
    assert training.code() == 130
    epochs = [row["epoch"] for row in read_lines(training.run.metrics)]
    assert epochs == list(range(1, len(epochs) + 1))  # the rows that had to wait are all there
    load_model(training.run.model)
    assert load_checkpoint(training.run).epoch == epochs[-1]
    assert not list(training.run.checkpoints.glob(".*"))


def test_a_disk_that_turns_read_only_does_not_end_training(launch, disk):
    training = launch("--epochs", "100000", output=disk)
    training.until_epoch(1)
    # what is mounted once more in the same place can be read-only while files stand open
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
    training.until(lambda: "could not be written" in training.text)
    shown = training.text.count("epoch")
    training.until(lambda: training.text.count("epoch") > shown + 2)
    training.send(signal.SIGTERM)
    assert training.code() == 130
    load_checkpoint(training.run)
    other = launch(words=["resume", str(training.run.folder)])
    assert other.code() == 2
    assert "Nothing can be written into the run folder" in other.text


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="util-linux is not here")
def test_a_limit_on_file_sizes_is_met_the_same_way(launch):
    # weights are larger than this, logs and tables are not
    training = launch(
        "--epochs", "6", prefix=("prlimit", "--fsize=100000")
    )  # fmt: skip
    assert training.code() == 1
    assert "the best weights are kept in memory" in training.text
    assert "6 of 6 epochs are done, but the best weights can't be written" in training.text
    assert kinds(training.run).count("checkpoint") == 1
    assert [row["epoch"] for row in read_lines(training.run.metrics)] == [1, 2, 3, 4, 5, 6]
    assert not list(training.run.checkpoints.iterdir())
