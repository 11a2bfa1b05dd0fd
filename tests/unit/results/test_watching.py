"""A run as whoever watches it sees it."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from lacewing.errors import RunError
from lacewing.results.watching import epoch_line, head_lines, log_lines, look, spark, step_line
from lacewing.store.run import Run, append_line, write_json

CLASSES = ["aphid", "grub", "moth"]


def add(run, kind, **fields):
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    append_line(run.events, {"time": now, "kind": kind, "message": f"it is {kind}", **fields})


def ended_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.fixture
def training(make_run):
    run = make_run(CLASSES, "training")
    add(run, "start", process=os.getpid(), host=socket.gethostname())
    return run


def test_a_run_that_is_trained_now(training):
    watched = look(training)
    assert watched.state == "running"
    assert head_lines(watched)[0] == "resnet18 on IP102: running, 5 of 20 epochs done"
    write_json(training.progress, {"epoch": 6, "step": 30, "steps": 120, "words": "loss 0.4"})
    assert head_lines(look(training))[1].startswith("epoch 6  ━━━━━━━━╌╌")
    write_json(training.progress, {"epoch": 5, "step": 30, "steps": 120, "words": "loss 0.4"})
    assert not look(training).now, "an epoch that is done is not running"
    training.progress.write_text("{")
    assert not look(training).now


def test_the_last_milestone_tells_the_state(training):
    for kind in ("interrupted", "finished"):
        add(training, kind)
        assert look(training).state == kind
    add(training, "resume", process=ended_process(), host=socket.gethostname())
    assert look(training).state == "died"
    add(training, "resume", process=ended_process(), host="elsewhere")
    assert look(training).state == "running", "of another host nothing is known"
    add(training, "resume")
    assert look(training).state == "running"


def test_a_number_that_a_later_process_got_is_not_the_runs(training):
    old = {"process": os.getpid(), "host": socket.gethostname(), "kind": "resume", "message": ""}
    append_line(training.events, {"time": "2001-01-01T00:00:00.000+00:00", **old})
    assert look(training).state == "died"


def test_a_folder_that_is_not_there_is_waited_for(tmp_path):
    watched = look(Run(tmp_path / "later"))
    assert (watched.state, watched.epochs, log_lines(watched)) == ("waiting", [], [])


def test_a_folder_of_folds_is_told_apart_from_one_that_is_not_there_yet(tmp_path):
    (tmp_path / "folds.yaml").touch()
    with pytest.raises(RunError, match="holds the runs of several folds"):
        look(Run(tmp_path))


def test_a_judged_run_shows_its_figure(make_run):
    run = make_run(CLASSES)
    add(run, "finished")
    watched = look(run)
    assert head_lines(watched)[-1] == f"judged: {watched.top1:.1%} right"
    assert (watched.as_dict()["epochs"], watched.as_dict()["last"]["epoch"]) == (20, 20)


def test_each_epoch_and_event_is_a_line(training):
    lines = log_lines(look(training))
    assert [line[:9] for line in lines[:2]] == ["epoch   1", "epoch   2"]
    assert lines[5] == ("14:22:05  out-of-memory: out of memory at step 12: micro-batch 16 -> 8, "
                        "same images per step")  # fmt: skip


def test_what_an_epoch_lacks_is_left_out():
    row = {"epoch": 0, "train_loss": 0.25, "val_accuracy": None, "seconds": 3.0, "best": True}
    assert epoch_line(row) == "head       loss 0.250  3.0 s  best"


def test_little_pictures():
    assert spark([0.1, 0.5, 0.9]) == "▁▅█"
    assert spark([0.5, 0.5]) == "▁▁"
    assert len(spark(range(99))) == 40
    bar = step_line({"epoch": 1, "step": 0, "steps": 0, "words": ""})
    assert "╌" * 30 in bar
