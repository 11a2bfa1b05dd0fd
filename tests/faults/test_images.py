"""Images that vanish or turn corrupt while a run trains on them."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lacewing.config import TrainConfig
from lacewing.errors import DataError
from lacewing.store.run import read_lines
from lacewing.training.begin import begin, reopen
from lacewing.training.loop import train
from lacewing.training.setup import prepare


@pytest.fixture
def session(tmp_path, tint_index, monkeypatch):
    """A run of four epochs that decodes each image every time."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))
    shutil.copytree(tint_index.root, tmp_path / "photos")
    config = TrainConfig(
        data=str(tmp_path / "photos"), model="test_resnet", pretrained=False, batch_size=6,
        epochs=4, image_size=32, output=tmp_path / "runs", tensorboard=False, device="cpu",
        threads=1, trial=False, optimizer="sgd",
    )  # fmt: skip
    return begin(prepare(config))


def files(session):
    return [Path(path) for path in session.index.split("train").paths()]


def harm_after(session, monkeypatch, epochs, harm):
    """Do harm when so many epochs are done; nothing of an image is kept in between."""
    real = session.train_loader.epoch

    def epoch(number, start_step=0):
        if number == epochs:
            harm()
        return real(number, start_step)

    store = session.train_loader._store
    monkeypatch.setattr(store._kept, "get", lambda row: None)
    monkeypatch.setattr(session.train_loader, "epoch", epoch)


@pytest.mark.parametrize("harm", ["vanish", "truncate", "no image", "no permission to it"])
def test_one_is_replaced_and_told_of(session, monkeypatch, harm):
    victim = files(session)[0]

    def hurt():
        content = victim.read_bytes()
        victim.unlink()
        if harm == "no permission to it":
            victim.mkdir()  # as unreadable as a file gets, also for root
        elif harm != "vanish":
            victim.write_bytes(content[:300] if harm == "truncate" else b"no image at all")

    harm_after(session, monkeypatch, 1, hurt)
    assert train(session).finished
    told = [e["message"] for e in read_lines(session.run.events) if e["kind"] == "image"]
    assert len(told) == 1
    assert told[0].startswith(str(victim))
    assert "another image stands in for it" in told[0]
    assert [row["epoch"] for row in read_lines(session.run.metrics)] == [1, 2, 3, 4]


def test_more_than_a_hundredth_ends_the_run(session, monkeypatch):
    harm_after(session, monkeypatch, 1, lambda: [file.unlink() for file in files(session)[:3]])
    with pytest.raises(DataError, match="is the disk still there"):
        train(session)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_thread_that_fails_ends_the_run_and_leaves_it_resumable(session, monkeypatch, workers):
    real, store = session.train_loader.epoch, session.train_loader._store
    loading = replace(session.train_loader.loading, workers=workers)
    monkeypatch.setattr(session.train_loader, "loading", loading)

    def fail(row):
        raise RuntimeError("the decoder broke")

    def epoch(number, start_step=0):
        if number == 1:
            monkeypatch.setattr(store, "get", fail)
        return real(number, start_step)

    monkeypatch.setattr(session.train_loader, "epoch", epoch)
    with pytest.raises(RuntimeError, match="the decoder broke"):
        train(session)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load")]
    resumed = reopen(session.run.folder)
    assert resumed.progress.epoch == 1
    assert train(resumed).finished
