"""Ctrl-C and the end of a job, sent to real processes."""

import signal

import pytest

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


def test_a_second_process_is_refused(launch):
    training = launch(*MANY)
    training.until_epoch(1)
    other = launch(words=["resume", str(training.run.folder)])
    assert other.code() == 2
    assert f"is in use by process {training.process.pid} on" in other.text
    training.send(signal.SIGTERM)
    assert training.code() == 130
