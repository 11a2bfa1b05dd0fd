"""Ctrl-C and the end of a job, sent to real processes."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacewing.data.scan import scan
from lacewing.store.run import read_lines
from lacewing.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow
MANY = ("--epochs", "100000")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_resume_goes_on(launch, number):
    training = launch(*MANY)
    training.until_epoch(2)
    training.send(number)
    assert training.code() == 130
    folder = training.run.folder
    assert f"interrupted by {number.name}: `lacewing resume {folder}` goes on." in training.text
    saved = load_checkpoint(training.run)
    assert saved.epoch >= 2
    again = launch(words=["resume", str(folder)])
    again.until(lambda: len(list(read_lines(again.run.metrics))) > saved.epoch)
    again.send(number)
    assert again.code() == 130
    epochs = [row["epoch"] for row in read_lines(again.run.metrics)]
    assert epochs == list(range(1, len(epochs) + 1))


def test_two_signals_at_once_leave_a_resumable_run(launch):
    training = launch(*MANY, "--checkpoint-seconds", "0")
    training.until_epoch(1)
    training.send(signal.SIGINT)
    training.send(signal.SIGTERM)
    assert training.code() == 130
    load_checkpoint(training.run)


def test_before_the_run_folder_is_made_nothing_is_left(launch, tmp_path):
    training = launch(*MANY)
    training.until(lambda: "Machine" in training.text or "reading" in training.text)
    training.send(signal.SIGTERM)
    assert training.code() in (130, -signal.SIGTERM)
    assert not training.run.folder.exists() or training.run.config.exists()


@pytest.fixture
def large_photos(tmp_path):
    """Two classes of 100 photos, each of which takes some 30 ms to read."""
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "one.jpg", quality=90)
    for number in range(200):
        file = tmp_path / "photos" / ("ants", "bees")[number // 100] / f"{number:03}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(tmp_path / "one.jpg", file)
        except OSError:
            shutil.copy2(tmp_path / "one.jpg", file)
    return tmp_path / "photos"


def photos_open(process) -> list[int]:
    """The numbers of the photos that a process has open now."""
    numbers = []
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            target = link.readlink()
        except OSError:  # closed meanwhile
            continue
        if target.suffix == ".jpg":
            numbers.append(int(target.stem))
    return numbers


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system has no /proc")
@pytest.mark.parametrize("command", ["data check", "train"])
def test_what_was_scanned_before_a_signal_is_not_opened_again(
    launch, large_photos, tmp_path, command
):
    words = ["data", "check", str(large_photos)] if command == "data check" else None
    started = launch("--data", str(large_photos), words=words)
    started.until(lambda: max(photos_open(started.process), default=0) > 30)
    started.send(signal.SIGTERM)
    assert started.code() == 130
    assert "Interrupted." in started.text
    paths = [path.relative_to(large_photos).as_posix() for path in large_photos.rglob("*.jpg")]
    rest = scan(large_photos, sorted(paths), cache_dir=tmp_path / "cache").opened
    assert 0 < rest <= 200 - 20


def test_a_second_process_is_refused(launch):
    training = launch(*MANY)
    training.until_epoch(1)
    other = launch(words=["resume", str(training.run.folder)])
    assert other.code() == 2
    assert f"is in use by process {training.process.pid} on" in other.text
    training.send(signal.SIGTERM)
    assert training.code() == 130
