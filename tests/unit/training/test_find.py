"""Which run `--resume auto` goes on with."""

from dataclasses import replace
from datetime import datetime

import pytest

from lacewing.errors import RunError
from lacewing.running import train as running
from lacewing.running.decide import prepared_fully
from lacewing.store.run import Run, read_lines
from lacewing.training.begin import run_folder
from lacewing.training.find import clear_way, find_named_runs, find_unfinished
from lacewing.training.loop import train


def test_the_unfinished_run_of_the_same_words_is_found(begun, small):
    config = small(device="cpu", epochs=3, resume="auto")
    assert find_unfinished(config) is None
    session = begun(epochs=3, limit_epochs=None, name=None)
    assert find_unfinished(config) is None  # nothing to resume from yet
    session.config.limit_epochs = 1
    train(session)
    assert find_unfinished(config) == session.run.folder
    assert find_unfinished(replace(config, checkpoint_seconds=5)) == session.run.folder
    assert find_unfinished(replace(config, learning_rate=0.5)) is None
    session.events.record("finished", "done")
    assert find_unfinished(config) == session.run.folder  # the report is the last of all
    session.run.report.touch()
    assert find_unfinished(config) is None


def test_a_name_without_a_checkpoint_is_set_aside(begun, small):
    session = begun(name="mine")
    config = small(device="cpu", name="mine")
    folder = run_folder(config.output, "mine")
    clear_way(replace(config, seed=5))
    with pytest.raises(RunError, match="exists already"):
        begun(name="mine")
    clear_way(config)
    assert not folder.exists()
    assert Run(folder.with_name("mine-killed-1")).config.is_file()
    assert session.run.folder == folder


def test_runs_of_one_second_have_folders_of_their_own(begun, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 5, 1, 12, 0, 0)

    monkeypatch.setattr("lacewing.training.begin.datetime", Clock)
    names = [begun().run.folder.name for _ in range(3)]
    assert names == [f"20260501-120000-photos-test_resnet{end}" for end in ("", "-2", "-3")]


def test_a_file_in_the_way_of_the_output_is_named(begun, tmp_path):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(RunError, match="choose another --output"):
            begun(output=output)


def test_the_same_command_goes_on_and_then_begins_anew(small, monkeypatch):
    config = small(device="cpu", resume="auto", recipe="classic", evaluate=False, epochs=2)
    monkeypatch.setattr(running, "finish", lambda *_: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception):
        running.run_training(config)
    monkeypatch.undo()
    (folder,) = config.output.iterdir()
    assert running.run_training(config).folder == folder  # only the results were missing
    assert [row["epoch"] for row in read_lines(Run(folder).metrics)] == [1, 2]
    assert running.run_training(replace(config, name="other")).folder != folder


def test_a_named_run_that_is_done_is_left_alone(small):
    config = small(device="cpu", resume="auto", recipe="classic", epochs=1, name="mine")
    first = running.run_training(config)
    before = sorted((file, file.stat().st_mtime_ns) for file in first.folder.rglob("*"))
    again = running.run_training(config)
    assert (again.folder, again.accuracy) == (first.folder, first.accuracy)
    assert sorted((f, f.stat().st_mtime_ns) for f in first.folder.rglob("*")) == before
    with pytest.raises(RunError, match="exists already"):
        running.run_training(replace(config, seed=1))


def test_a_model_named_by_true_is_the_same_words_whichever_run_it_meant(begun, small):
    first = begun(epochs=1, name="first")
    train(first)
    begun(epochs=1, name="empty")
    config = small(device="cpu", epochs=3, resume="auto", load_model=True)
    meant = find_named_runs(config)
    assert meant.load_model == first.run.folder, "the newest has no weights"
    planned = prepared_fully(replace(config, resume="never", trial=False))
    assert planned.config.load_model == first.run.folder, "a plan is of the same weights"
    session = begun(epochs=3, limit_epochs=None, name=None, load_model=first.run.folder)
    session.config.limit_epochs = 1
    train(session)
    assert find_unfinished(config) == session.run.folder
    assert find_unfinished(replace(config, load_model=False)) is None
