"""The commands that help to choose between runs."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

TINY = ("--model", "test_resnet", "--pretrained", "False", "--image-size", "32", "-ep", "1",
        "--device", "cpu", "--tensorboard", "False", "-bz", "4")  # fmt: skip


@pytest.mark.slow
def test_two_runs_are_compared_on_the_same_images(run, photos):
    for name, more in (("one", ()), ("two", ("--sample", "0.5", "--min-per-class", "1"))):
        ended = run("train", "--data", photos, *TINY, "--name", name, *more)
        assert ended.code == 0, ended.text
    assert "A sample of 0.5 of each class" in ended.text
    assert "on all images" in ended.out
    ended = run("compare", "runs/one", "runs/two", "-o", "found.csv")
    assert ended.code == 0, ended.text
    assert "Runs on the same 4 test images" in ended.out
    assert "no difference shown" in ended.out
    ended = run("compare", "runs/one", "runs/two", "--json")
    assert json.loads(ended.out)["runs"][1]["run"] == "runs/two"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["runs/one"], "Name two runs or more"),
        (["a", "b", "a"], "a is named twice"),
        (["a", "b", "-o", "x.txt"], "--out must end in .csv or .json"),
        (["a", "b"], "There is no run folder a"),
    ],
)
def test_what_can_t_be_compared_is_said(run, words, sentence):
    ended = run("compare", *words)
    assert (ended.code, sentence in ended.error) == (2, True)


@pytest.mark.slow
def test_folds_are_judged_apart_and_the_last_run_alone_sees_the_test_split(run, photos):
    words = ("train", "--data", photos, *TINY, "--folds", "2", "--name", "both")
    ended = run(*words)
    assert ended.code == 0, ended.text
    found = json.loads(Path("runs/both/folds.json").read_text())
    assert [fold["run"] for fold in found["folds"]] == ["fold-1", "fold-2"]
    assert found["together"]["images"] == 20
    splits = json.loads(Path("runs/both/fold-1/results.json").read_text())["splits"]
    assert list(splits) == ["val"]
    splits = json.loads(Path("runs/both/all/results.json").read_text())["splits"]
    assert list(splits) == ["test"]
    assert found["test"]["top1"] == splits["test"]["top1"]

    first = Path("runs/both/fold-1/results.json")
    before = first.stat().st_mtime_ns
    shutil.rmtree("runs/both/all")
    ended = run("resume", "runs/both")
    assert ended.code == 0, ended.text
    assert "fold-2 is finished: nothing is left to do." in ended.out
    assert first.stat().st_mtime_ns == before
    assert Path("runs/both/all/report.html").is_file()
    assert "holds the runs of several folds" in run("evaluate", "runs/both").error


@pytest.mark.slow
def test_a_run_with_a_view_is_judged_predicted_and_reported_in_it(run, photos):
    ended = run("train", "--data", photos, *TINY, "--name", "seen", "--tta", "both")
    assert ended.code == 0, ended.text
    assert "view of the finished model: the whole frame, mirrored too (--tta)" in ended.out
    folder = Path("runs/seen")
    before = json.loads((folder / "results.json").read_text())
    assert before["recipe"]["views"]["chosen"] == "both"
    assert 'id="views"' in (folder / "report.html").read_text()
    ended = run("evaluate", "runs/seen")
    assert ended.code == 0, ended.text
    after = json.loads((folder / "results.json").read_text())
    assert after["splits"]["test"]["loss"] == pytest.approx(before["splits"]["test"]["loss"])
    mirrored = Path("mirrored")
    mirrored.mkdir()
    for file in sorted(photos.glob("*/*.jpg"))[:3]:
        with Image.open(file) as opened:
            opened.save(mirrored / f"{file.stem}.png")
            opened.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored / f"{file.stem}-m.png")
    ended = run("predict", "runs/seen", "mirrored", "-o", "found.csv", "--device", "cpu")
    assert ended.code == 0, ended.text
    rows = {row["path"]: row for row in csv.DictReader(Path("found.csv").read_text().splitlines())}
    for path, row in rows.items():
        other = rows[path.replace(".png", "-m.png")] if "-m" not in path else row
        assert float(row["confidence"]) == pytest.approx(float(other["confidence"]), abs=0.01)
    ended = run("train", "--data", photos, *TINY, "--load-model", "runs/seen", "--name", "next")
    assert ended.code == 0, ended.text
    assert not json.loads((Path("runs/next") / "results.json").read_text()).get("recipe")
    assert "--tta must be one of auto, off" in run("train", "--data", photos, "--tta", "x").error


def test_budgets_are_shown_and_no_plan_is_written(run, photos):
    words = ("plan", "--data", photos, "--device", "cpu", "--budgets")
    ended = run(*words, "1m,1h")
    assert ended.code == 0, ended.text
    rows = [line for line in ended.out.splitlines() if "efficientnet_lite0" in line]
    assert [row.split("  ")[0] for row in rows] == ["1 min 0 s", "1 h 0 min"]
    assert "256 pixels, two views" in rows[0]
    assert not Path("plan.yaml").exists()
    assert "--budgets must be a time like 90s" in run(*words, "1m,soon").error
    assert "leave out the classic training flags" in run(*words, "1m", "-ep", "3").error
    fresh = run(*words, "1h", "--pretrained", "False")
    assert "none: classic training" in fresh.out, fresh.text


def test_the_network_is_chosen_among_those_whose_weights_are_here(run, photos):
    ended = run("plan", "--data", photos, "--model", "auto", "--device", "cpu")
    assert ended.code == 0, ended.text
    assert "its weights are not here" in ended.out
    assert "--model auto took " in ended.out
    assert "% there" in Path("plan.yaml").read_text()
