"""Checkpoints on the disk: whole or not there."""

import json
import os
import shutil

import pytest
import torch

from lacewing.errors import RunError
from lacewing.store.run import Run
from lacewing.training import checkpoint
from lacewing.training.checkpoint import (
    KEEP,
    complete,
    forget_newer,
    load_checkpoint,
    save_checkpoint,
)
from lacewing.training.state import Progress, Snapshot

FILES = ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]


def snapshot(step, **more):
    plain = {"progress": vars(Progress(step=step))}
    return Snapshot({"w": torch.full((3,), float(step))}, {"0.m": torch.ones(2)}, plain, **more)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_what_is_written_is_read(run):
    folder = save_checkpoint(run, snapshot(7, best={"w": torch.zeros(1)}))
    assert folder.name == run.last.read_text().strip() == "step-00000007"
    loaded = load_checkpoint(run)
    assert loaded.step == 7
    assert torch.equal(loaded.model["w"], torch.full((3,), 7.0))
    assert torch.equal(loaded.best["w"], torch.zeros(1))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_of_a_damaged_one_the_one_before_is_used(run, file, harm):
    for step in (1, 2):
        damaged = save_checkpoint(run, snapshot(step)) / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "gone":
        damaged.unlink()
    else:
        damaged.write_bytes(content if harm == "flip" else content[:-9])
    said = []
    assert load_checkpoint(run, said.append).step == 1
    assert len(said) == 1
    assert "step-00000002 is damaged" in said[0]
    save_checkpoint(run, snapshot(2))
    assert load_checkpoint(run, said.append).step == 2
    assert sorted(f.name for f in run.checkpoints.iterdir()) == ["step-00000001", "step-00000002"]


def test_the_only_one_damaged_says_so(run):
    (save_checkpoint(run, snapshot(1)) / "state.json").write_text("{}")
    with pytest.raises(
        RunError, match=r"state\.json is not what was written, and there is no other"
    ):
        load_checkpoint(run)


def test_one_of_another_version_is_left_alone(run):
    manifest = save_checkpoint(run, snapshot(1)) / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 99}))
    with pytest.raises(RunError, match="another version of lacewing"):
        load_checkpoint(run)
    assert len(complete(run)) == 1


def test_the_newest_are_kept(run):
    for step in range(5):
        save_checkpoint(run, snapshot(step))
    assert [folder.name for folder in complete(run)] == ["step-00000004", "step-00000003"]
    assert len(complete(run)) == KEEP


def test_a_step_saved_again_is_newer_and_the_first_untouched(run):
    first = save_checkpoint(run, snapshot(3))
    again = save_checkpoint(run, snapshot(3, best={"w": torch.ones(1)}))
    assert first.is_dir()
    assert complete(run) == [again, first]
    assert load_checkpoint(run).best


def test_ten_of_a_step_are_in_order(run):
    for _ in range(11):
        save_checkpoint(run, snapshot(3))
    newest, before = complete(run)
    assert int(newest.suffix[1:]) == int(before.suffix[1:]) + 1


def test_going_back_removes_the_later_ones(run):
    save_checkpoint(run, snapshot(1))
    save_checkpoint(run, snapshot(2))
    forget_newer(run, 1)
    assert load_checkpoint(run).step == 1


@pytest.mark.parametrize("stage", ["save_tensors", "described", "sync_file", "sync_folder"])
def test_a_disk_that_refuses_leaves_the_old_one_and_no_rest(run, monkeypatch, stage):
    save_checkpoint(run, snapshot(1))

    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(checkpoint, stage, refuse)
        save_checkpoint(run, snapshot(2))
    assert load_checkpoint(run).step == 1
    assert [f.name for f in run.checkpoints.iterdir()] == ["step-00000001"]


def test_the_rest_of_a_killed_process_is_removed(run):
    run.checkpoints.mkdir()
    rest = run.checkpoints / f".step-00000001.{os.getpid() + 1}.tmp"
    rest.mkdir()
    save_checkpoint(run, snapshot(2))
    assert not rest.exists()


def test_a_lost_pointer_does_not_matter(run):
    save_checkpoint(run, snapshot(1))
    newest = save_checkpoint(run, snapshot(2))
    run.last.unlink()
    shutil.rmtree(newest)
    assert load_checkpoint(run).step == 1


def test_a_manifest_can_name_no_file_elsewhere(run):
    folder = save_checkpoint(run, snapshot(1))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../../secret"] = {"bytes": 1, "blake2b": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"is damaged: its manifest\.json names"):
        load_checkpoint(run)
