"""What a trained model is judged on, and under which name that is kept."""

import shutil
from dataclasses import replace

import pytest

from lacewing.results.finish import finish
from lacewing.running import judge
from lacewing.store.run import read_json
from lacewing.training.loop import train


@pytest.fixture
def done(begun, small):
    """A finished run, and its configuration."""
    session = begun(epochs=1, test_share=0.2)
    finish(session, train(session))
    return session


def splits(session):
    return read_json(session.run.results)["splits"]


def test_a_folder_called_test_is_not_the_runs_own_split(done, tmp_path, tint_index):
    before, written = splits(done), done.run.predictions.read_bytes()
    shutil.copytree(tint_index.root, tmp_path / "farm" / "test")
    judge.evaluate(done.run.folder, str(tmp_path / "farm" / "test"))
    after = splits(done)
    assert {name: after[name] for name in before} == before
    assert [name for name in after if name not in before] == [str(tmp_path / "farm" / "test")]
    assert done.run.predictions.read_bytes() == written


def test_images_that_it_was_trained_on_are_told(done, tint_index, capsys):
    judge.evaluate(done.run.folder, str(tint_index.root))
    said = " ".join(capsys.readouterr().err.split())
    seen = len(done.index.without("test"))
    assert f"{seen} of these {len(done.index)} images were in the run's training" in said


def test_the_classic_switch_judges_the_runs_own_test_images(done, small, capsys):
    """-istra False -isloadmd True, with the -data by which the run is found."""
    before = splits(done)["test"]
    config = small(train=False, load_model=done.run.folder)
    assert config.data == done.config.data
    run = judge.only_evaluate(config)
    assert run.accuracy == before["top1"]
    assert splits(done)["test"]["images"] == before["images"]
    assert "better than it is" not in capsys.readouterr().err


def test_other_data_is_looked_for_where_the_flags_say(done, small, tmp_path, tint_index):
    shutil.copytree(tint_index.root, tmp_path / "sets" / "farm")
    config = small(train=False, load_model=done.run.folder)
    judge.only_evaluate(replace(config, data="farm", data_root=tmp_path / "sets"))
    assert "farm" in splits(done)


def test_judging_again_keeps_the_doubtful_labels_of_both_splits(done):
    before = read_json(done.run.evidence)["judged"]
    judge.evaluate(done.run.folder)
    assert read_json(done.run.evidence)["judged"] == before
