"""A data set that changed between two sessions of a run."""

import shutil
from pathlib import Path

import pytest

from lacewing.data.index import ImageIndex
from lacewing.errors import RunError
from lacewing.store.run import Run, read_lines
from lacewing.training.begin import reopen
from lacewing.training.loop import train


@pytest.fixture
def photos(tmp_path, tint_index):
    shutil.copytree(tint_index.root, tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def half(begun, photos):
    session = begun(data=str(photos), epochs=2, limit_epochs=1)
    train(session)
    return session.run.folder


def first(photos):
    return sorted(photos.glob("train/*/*.jpg"))[0]


def test_what_is_missing_new_or_changed_is_said(half, photos, tinted):
    gone, changed = sorted(photos.glob("train/*/*.jpg"))[:2]
    gone.unlink()
    tinted("moth", 999).save(changed)
    tinted("moth", 998).save(photos / "train" / "moth" / "added.jpg")
    with pytest.raises(RunError) as raised:
        reopen(half)
    said = str(raised.value)
    assert f"1 missing ({gone.relative_to(photos)})" in said
    assert "1 new (train/moth/added.jpg)" in said
    assert f"1 with another content ({changed.relative_to(photos)})" in said
    assert "--accept-changed-data" in said


def test_another_class_is_a_change(half, photos):
    image = first(photos)
    image.rename(photos / "train" / "moth" / "moved.jpg")
    with pytest.raises(RunError, match=r"1 missing .*; 1 new"):
        reopen(half)


def test_accepted_it_goes_on_with_its_own_list(half, photos):
    images = len(ImageIndex.load(Run(half).index))
    Path(ImageIndex.load(Run(half).index).split("train").paths()[0]).unlink()
    session = reopen(half, accept_changed_data=True)
    assert len(session.index) == images
    assert train(session).finished
    events = list(read_lines(session.run.events))
    assert any(event["kind"] == "data" for event in events)
    assert any(e["kind"] == "image" and "can't be read any more" in e["message"] for e in events)


def test_touching_a_file_is_no_change(half, photos):
    first(photos).touch()
    assert train(reopen(half)).finished
