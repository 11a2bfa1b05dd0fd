"""The written-down recipes for IP102, on a small tree of its layout and with a small network."""

from pathlib import Path

import pytest
from safetensors.torch import save_file

from lacewing.config import TrainConfig, load_config
from lacewing.data.sample import draw_sample
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.store.run import read_json

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.yaml"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    draw_sample(root, classes=4, images_per_class=16, size=48, layout="ip102")
    return root / "ip102_v1.1"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(build_model(find_model("test_resnet"), 1000, 0.0, None, 64).state_dict(), file)
    return file


def test_there_is_one_for_each_kind_of_machine():
    assert [file.stem for file in RECIPES] == ["ip102-cpu", "ip102-gpu-large", "ip102-gpu-small"]


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_it_names_a_network_that_there_is(file):
    config = TrainConfig(**load_config(file))
    assert config.pretrained and config.budget
    assert find_model(config.model).name == config.model


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_it_is_carried_out(run, tree, weights, file):
    """In the time of one epoch, where there is fine-tuning, and with smaller images."""
    short = () if file.stem == "ip102-cpu" else ("-ep", "1")
    ended = run("train", "--config", file, "--data", tree, "-mn", "test_resnet", "--weights",
                weights, "--image-size", "64", "--name", "run", "--output", "runs",
                "--tensorboard", "False", *short)  # fmt: skip
    assert ended.code == 0, ended.text
    results = read_json(Path("runs/run/results.json"))
    assert results["recipe"]["features"]["size"] == 64
    assert results["training"]["epochs"] == len(short) / 2
    assert results["splits"]["test"]["images"] > 0
