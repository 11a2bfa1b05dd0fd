"""The commands that help to choose between runs."""

import json

import pytest

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
