"""Evidence of judged splits, with a network that names the channel that is brightest."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lacewing.data.batch import Loading
from lacewing.data.preprocess import Preprocessing
from lacewing.engine.execution import Execution
from lacewing.errors import DataError
from lacewing.hardware.cpu import CpuBackend
from lacewing.hardware.fake import FakeBackend
from lacewing.hardware.fake_faults import running_out
from lacewing.results import camera
from lacewing.results.evaluate import Judge, judge
from lacewing.results.evidence import COLUMNS, gather_evidence
from lacewing.store.run import Run, read_json


class Tints(nn.Module):
    """Logits [N, C] of images [N, 3, S, S]: the mean of a channel, by a 1 x 1 convolution."""

    def __init__(self, classes):
        super().__init__()
        self.map = nn.Conv2d(3, classes, 1, bias=False)
        with torch.no_grad():
            self.map.weight.copy_(9 * torch.eye(classes, 3)[:, :, None, None])

    def forward(self, images):
        return self.map(images).mean((2, 3))


@pytest.fixture
def judging(tint_index):
    cpu = torch.device("cpu")
    return Judge(
        Tints(len(tint_index.classes)),
        Preprocessing(image_size=16, mean=(0.5,) * 3, std=(0.5,) * 3),
        CpuBackend(),
        Execution(device="cpu", micro_batch=8),
        Loading(device=cpu, augment_device=cpu, workers=0),
    )


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run")


def judged_of(judging, index):
    return {"val": judge(judging, index, "judging")}


def test_mistakes_get_a_picture_and_a_heat_map(run, judging, tint_index):
    judged = judged_of(judging, tint_index)
    answers = judged["val"].probabilities.argmax(axis=1)
    wrong = int((answers != tint_index.column("label")).sum())
    assert wrong > 3  # the fixture's tints are not all of one channel
    gather_evidence(run, judging, judged)
    found = read_json(run.evidence)
    assert found["judged"] == len(tint_index)
    assert len(found["mistakes"]) == min(wrong, 16)
    for one in found["mistakes"]:
        assert one["true"] != one["predicted"] and one["own"] <= one["confidence"]
        for name in (one["picture"], one["heat"]):
            with Image.open(run.evidence_folder / name) as picture:
                assert picture.size == (camera.SIDE, camera.SIDE)
    assert found["pairs"][0]["images"] >= found["pairs"][-1]["images"]


def test_every_suspect_is_a_row_of_the_csv(run, judging, tint_index):
    gather_evidence(run, judging, judged_of(judging, tint_index))
    with run.suspects.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = read_json(run.evidence)
    assert len(rows) == found["suspected"]
    assert all(tuple(row) == COLUMNS and row["label"] != row["suggested"] for row in rows)
    shown = [one["path"] for one in found["suspects"]]
    assert shown == [row["path"] for row in rows[: len(shown)]]


def test_images_that_are_gone_leave_rows_without_pictures(run, judging, tint_index):
    judged = judged_of(judging, tint_index)
    moved = replace(judged["val"].index, root=run.folder / "gone")
    judged = {"val": replace(judged["val"], index=moved)}
    gather_evidence(run, judging, judged)
    found = read_json(run.evidence)
    assert found["mistakes"]
    assert all(one["picture"] is one["heat"] is None for one in found["mistakes"])
    assert [file.name for file in run.evidence_folder.iterdir()] == [run.evidence.name]


def test_heat_maps_end_when_their_time_is_over(run, judging, tint_index, monkeypatch):
    monkeypatch.setattr(camera, "HEAT_SECONDS", -1.0)
    gather_evidence(run, judging, judged_of(judging, tint_index))
    found = read_json(run.evidence)
    assert all(one["picture"] and one["heat"] is None for one in found["mistakes"])


def test_heat_maps_that_the_memory_does_not_hold_are_left_out(
    run, judging, tint_index, monkeypatch, capsys
):
    judged = judged_of(judging, tint_index)
    monkeypatch.setattr(camera, "heat_map", running_out(range(2, 99), camera.heat_map))
    gather_evidence(run, replace(judging, backend=FakeBackend()), judged)
    found = read_json(run.evidence)
    assert found["mistakes"][0]["heat"]
    assert all(one["picture"] and one["heat"] is None for one in found["mistakes"][1:])
    assert found["no_memory_for_heat"]
    assert capsys.readouterr().err.count("no memory for a heat map") == 1


def test_another_error_of_a_heat_map_is_not_kept_quiet(run, judging, tint_index, monkeypatch):
    judged = judged_of(judging, tint_index)
    monkeypatch.setattr(camera, "heat_map", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gather_evidence(run, judging, judged)


def test_nothing_judged_leaves_nothing(run, judging):
    gather_evidence(run, judging, {})
    assert list(run.folder.iterdir()) == []


def test_an_image_that_is_gone_is_not_judged_and_said(judging, tint_index, tmp_path, capsys):
    shutil.copytree(tint_index.root, tmp_path / "photos")
    index = replace(tint_index, root=tmp_path / "photos")
    gone = Path(index.path(4))
    gone.unlink()
    found = judge(judging, index, "judging")
    assert len(found.index) == len(found.probabilities) == found.figures.images == len(index) - 1
    assert str(gone) not in found.index.paths()
    whole = judge(judging, tint_index, "judging")
    assert np.array_equal(found.probabilities, np.delete(whole.probabilities, 4, axis=0))
    said = " ".join(capsys.readouterr().err.split())
    assert f"1 of {len(index)} images can't be read any more and are not judged" in said


def test_a_class_whose_images_are_gone_does_not_end_judging(judging, tint_index, tmp_path):
    shutil.copytree(tint_index.root, tmp_path / "photos")
    index = replace(tint_index, root=tmp_path / "photos")
    others = np.flatnonzero(index.column("label") != 0)
    few = index.take(np.append(others, np.flatnonzero(index.column("label") == 0)[:1]))
    Path(few.path(len(others))).unlink()
    assert judge(judging, few, "judging").index.paths() == few.paths()[:-1]
    alone = few.take(np.array([len(others)]))
    with pytest.raises(DataError, match="None of 1 images can be read"):
        judge(judging, alone, "judging")
