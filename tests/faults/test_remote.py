"""A run whose images lie on a server that fails and comes back, kept nowhere in between."""

from pathlib import Path

import pytest

from lacewing.config import TrainConfig
from lacewing.data.shard_writer import ShardWriter
from lacewing.errors import DataError
from lacewing.store.run import read_lines
from lacewing.training.begin import begin, reopen
from lacewing.training.loop import train
from lacewing.training.setup import prepare
from shard_server import serving


@pytest.fixture
def server(tint_index, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    with ShardWriter(folder) as writer:
        for split in ("train", "val"):
            part = tint_index.split(split)
            for path, label in zip(part.paths(), part.column("label"), strict=True):
                writer.add(split, Path(path).read_bytes(), str(label))
    for shard in folder.glob("*.tar"):
        shard.rename(folder / f"{'train' if 'train' in shard.name else 'val'}.tar")
    with serving(folder) as running:
        yield running


@pytest.fixture
def started(tmp_path, monkeypatch):
    """`started(data, name)`: a run of four epochs that reads each image every time."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))

    def start(data, name):
        config = TrainConfig(
            data=data, model="test_resnet", pretrained=False, batch_size=6, epochs=4,
            image_size=32, output=tmp_path / "runs", name=name, tensorboard=False, device="cpu",
            threads=1, trial=False, optimizer="sgd", test_share=0.0,
        )  # fmt: skip
        session = begin(prepare(config))
        read_each_time(session, monkeypatch)
        return session

    return start


def read_each_time(session, monkeypatch):
    for loader in (session.train_loader, session.val_loader):
        monkeypatch.setattr(loader._store._kept, "get", lambda row: None)


def test_resume_gives_what_a_run_from_the_disk_gives(started, server, monkeypatch):
    here = started(str(server.folder), "here")
    assert train(here).finished
    there = started(f"{server.address}/{{train,val}}.tar", "there")
    real = there.train_loader.epoch

    def epoch(number, start_step=0):
        if number == 2:
            server.failures.extend([404] * 100)
        return real(number, start_step)

    monkeypatch.setattr(there.train_loader, "epoch", epoch)
    with pytest.raises(DataError, match=r"127\.0\.0\.1 answers 404"):
        train(there)
    assert [row["epoch"] for row in read_lines(there.run.metrics)] == [1, 2]
    server.failures.clear()
    server.asked.clear()
    again = reopen(there.run.folder)
    read_each_time(again, monkeypatch)
    assert train(again).finished
    assert len(server.asked) >= 2 * 24
    ours, theirs = here.model.state_dict(), again.model.state_dict()
    assert all(ours[name].equal(theirs[name]) for name in ours)
