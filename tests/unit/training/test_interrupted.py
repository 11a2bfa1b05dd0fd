"""Signals before and after the training loop, and runs that were cut off before a checkpoint."""

import os
import signal
import sys
from dataclasses import replace

import pytest

from lacewing.config import save_config
from lacewing.errors import RunError
from lacewing.results.finish import finish
from lacewing.running import train as running
from lacewing.store.run import Run, read_lines
from lacewing.training.find import begin_again, clear_way
from lacewing.training.lock import locked
from lacewing.training.recipe import carry_out


def terminate(*_):
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def config(small):
    return small(device="cpu", recipe="classic", epochs=2, evaluate=False, name="mine")


def epochs(folder):
    return [row["epoch"] for row in read_lines(Run(folder).metrics)]


def test_before_the_first_checkpoint_it_begins_anew_in_its_place(config, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "train_loop", terminate)
        cut = running.run_training(config)
    assert not cut.finished
    assert f"`lacewing resume {cut.folder}` goes on" in capsys.readouterr().err
    assert not Run(cut.folder).checkpoints.exists()
    whole = running.resume(cut.folder)
    assert whole.finished
    assert whole.folder == cut.folder
    assert epochs(whole.folder) == [1, 2]
    assert cut.folder.with_name("mine-killed-1").is_dir()


def test_a_run_without_a_name_keeps_its_folder(config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "train_loop", terminate)
        cut = running.run_training(replace(config, name=None))
    assert running.resume(cut.folder).folder == cut.folder


def test_while_it_is_judged_only_the_judging_is_done_again(config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(running, "finish", terminate)
        cut = running.run_training(config)
    assert not cut.finished
    assert not Run(cut.folder).report.exists()
    assert [e["kind"] for e in read_lines(Run(cut.folder).events)][-1] == "interrupted"
    whole = running.resume(cut.folder)
    assert whole.finished
    assert whole.folder == cut.folder
    assert epochs(whole.folder) == [1, 2]
    assert Run(cut.folder).report.is_file()


def test_the_folder_is_held_until_the_report_is_written(config, monkeypatch):
    """Judging takes minutes on a CPU, and a second `resume` must not judge beside it."""
    held = []

    def finished(session, ending):
        try:
            locked(session.run).__enter__()
        except RunError as error:
            held.append(str(error))
        return finish(session, ending)

    monkeypatch.setattr(running, "finish", finished)
    run = Run(running.run_training(config).folder)
    assert "is in use by process" in held[0]
    with locked(run):
        pass


def test_what_has_trained_or_is_in_use_is_not_begun_again(begun, tmp_path):
    run = begun(name="mine").run
    with locked(run), pytest.raises(RunError, match="in use"):
        begin_again(run.folder)
    with run.metrics.open("a") as file:
        file.write('{"epoch": 1}\n')
    assert begin_again(run.folder) is None  # its checkpoints are lost: that must be said
    run.metrics.write_text('{"epoch": 0}\n')  # the head on frozen features
    again = begin_again(run.folder)
    assert (again.name, again.output) == ("mine", run.folder.parent)
    assert begin_again(tmp_path / "nowhere") is None


def test_a_run_without_checkpoints_on_purpose_is_not_begun_again(begun):
    run = begun(name="mine", save_checkpoints=False).run
    assert begin_again(run.folder) is None
    assert run.folder.is_dir()


def test_the_way_is_not_cleared_of_a_run_that_goes_on(begun, small):
    config = small(device="cpu", name="mine")
    run = begun(name="mine").run
    save_config(config, run.asked)
    with locked(run), pytest.raises(RunError, match="in use"):
        clear_way(config)
    assert run.folder.is_dir()


def test_nothing_is_left_of_a_finished_run_without_checkpoints(config):
    """A recipe that ends with its head on frozen features has none either."""
    done = running.run_training(replace(config, epochs=1, save_checkpoints=False))
    with pytest.raises(RunError, match="is finished: nothing is left to resume"):
        running.resume(done.folder)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["/usr/bin/lacewing", "train", "--data", "a b"], "lacewing train --data 'a b'"),
        (["lib/lacewing/__main__.py", "train"], "lacewing train"),
        (["Trainmain.py", "-data", "IP102"], "python Trainmain.py -data IP102"),
        (["/usr/bin/lacewing", "resume", "runs/x"], None),
        (["lib/ipykernel_launcher.py", "-f", "kernel.json"], None),
        (["lib/other/__main__.py", "--farm", "7"], None),
    ],
)
def test_the_command_that_began_a_run_is_known_where_there_was_one(
    begun, monkeypatch, words, command
):
    monkeypatch.setattr(sys, "argv", words)
    (start,) = [e for e in read_lines(begun().run.events) if e["kind"] == "start"]
    assert start.get("command") == command
