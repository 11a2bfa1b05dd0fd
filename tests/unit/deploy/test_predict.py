"""Predictor: from photos to names."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lacewing.data.batch import normalised_squares
from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.confidence import LOW_CONFIDENCE
from lacewing.deploy.predict import (
    BATCH,
    device_address,
    load_predictor,
    planned_batch,
    planned_format,
)
from lacewing.errors import ConfigError, DeviceError
from lacewing.hardware.fake import FakeBackend
from lacewing.hardware.fake_faults import running_out
from lacewing.models.build import build_model
from lacewing.models.bundle import add_to_model, save_model
from lacewing.models.catalog import find_model
from lacewing.performance_config import EVAL_BATCH
from lacewing.results.explain import heat_map


def test_each_photo_gets_its_name_in_the_order_given(predictor, photo):
    paths = [photo(colour) for colour in ("blue", "red", "green")]
    predictions = predictor.predict(paths)
    assert [one.path for one in predictions] == paths
    assert [one.classes[0] for one in predictions] == ["blue", "red", "green"]
    assert all(one.error is None for one in predictions)


def test_probabilities_fall_and_add_up(predictor, photo):
    (one,) = predictor.predict([str(photo("red"))])
    assert list(one.probabilities) == sorted(one.probabilities, reverse=True)
    assert sum(one.probabilities) == pytest.approx(1)


def test_top_k_cuts_the_names(predictor, photo):
    red = photo("red")
    assert predictor.predict([red], top_k=1)[0].classes == ("red",)
    assert len(predictor.predict([red], top_k=99)[0].classes) == 3
    with pytest.raises(ConfigError, match="top_k must be at least 1"):
        predictor.predict([red], top_k=0)


def test_a_file_that_cannot_be_read_is_a_row_with_an_error(predictor, photo, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo("red").read_bytes()[:200])
    predictions = predictor.predict([tmp_path / "gone.jpg", broken, photo("green")])
    assert predictions[0].error == "No such file or directory"
    assert predictions[1].error
    assert predictions[0].classes == predictions[1].classes == ()
    assert predictions[2].classes[0] == "green"


def test_what_the_device_does_not_hold_is_sent_in_halves(predictor, photo):
    backend = FakeBackend()
    backend.torch_device = running_out({1}, backend.torch_device)
    paths = [photo(colour) for colour in ("blue", "red", "green")]
    assert replace(predictor, backend=backend).predict(paths) == predictor.predict(paths)


def test_only_unreadable_files_are_no_crash(predictor, tmp_path):
    (one,) = predictor.predict([tmp_path])
    assert one.error == "not a file"


def test_no_files_give_no_predictions(predictor):
    assert predictor.predict([]) == []


def test_more_than_a_batch_is_told_and_stays_in_order(predictor, photo):
    red, blue = photo("red"), photo("blue")
    paths = [red if number % 3 else blue for number in range(2 * BATCH + 5)]
    told = []
    predictions = predictor.predict(paths, progress=lambda done, total: told.append((done, total)))
    assert told == [(BATCH, 69), (2 * BATCH, 69), (69, 69)]
    assert [one.classes[0] for one in predictions] == [path.stem for path in paths]
    assert replace(predictor, threads=0).predict(paths) == predictions


def test_the_networks_input_is_normalised_as_it_was_trained(predictor):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.4, 0.2)
    other = replace(predictor, preprocessing=Preprocessing(image_size=8, mean=mean, std=std))
    squares = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    inputs = (squares.astype(np.float64) / 255 - mean) / std
    expected = torch.from_numpy(10 * inputs.mean((1, 2))).softmax(1).numpy()
    assert other.probabilities(squares) == pytest.approx(expected, abs=1e-5)


class Greedy(nn.Module):
    """Has memory for four images at once."""

    def __init__(self, model, error):
        super().__init__()
        self.model, self.error, self.sizes = model, error, []

    def forward(self, images):
        self.sizes.append(len(images))
        if len(images) > 4:
            raise self.error
        return self.model(images)


def test_an_exhausted_memory_halves_the_batch(predictor):
    squares = np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), dtype=np.uint8)
    greedy = Greedy(predictor.model, MemoryError())
    halved = replace(predictor, model=greedy).probabilities(squares)
    assert halved == pytest.approx(predictor.probabilities(squares), abs=1e-6)
    assert greedy.sizes == [11, 6, 3, 3, 5, 3, 2]


def test_any_other_error_is_passed_on(predictor):
    squares = np.zeros((8, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="shapes"):
        replace(predictor, model=Greedy(predictor.model, ValueError("shapes"))).probabilities(
            squares
        )


def test_a_doubtful_answer_is_none_of_these(predictor, photo):
    red = photo("red")
    sure = predictor.predict([red])[0].probabilities[0]
    bold, shy = (replace(predictor, none_below=sure + step) for step in (0.0, 1e-6))
    assert not bold.predict([red])[0].none_of_these
    assert shy.predict([red], top_k=1)[0].none_of_these
    assert not shy.predict([red.with_name("gone.jpg")])[0].none_of_these


def test_the_batch_is_the_plans(predictor, photo):
    told = []
    paths = [photo("red")] * 5
    replace(predictor, batch=2).predict(paths, progress=lambda done, _: told.append(done))
    assert told == [2, 4, 5]


@pytest.mark.parametrize(
    ("text", "batch"),
    [
        ("decisions: {eval_batch: {value: 7}}", 7),
        ("decisions: {eval_batch: {}}", BATCH),
        ("decisions: 3", BATCH),
        ("{", BATCH),
    ],
)
def test_a_plan_that_cannot_be_read_is_no_hindrance(tmp_path, text, batch):
    (tmp_path / "plan.yaml").write_text(text)
    assert planned_batch(tmp_path) == batch
    assert planned_batch(tmp_path / "model.safetensors") == BATCH


def saved(path: Path) -> Path:
    """A small network with random weights in a file."""
    path.parent.mkdir(exist_ok=True)
    info = find_model("efficientnet_lite0")
    model = build_model(info, classes=3, dropout=0.0, weights=None, image_size=32)
    fields = {
        "model": info.name,
        "classes": ["red", "green", "blue"],
        "class_ids": ["0", "1", "2"],
        "dropout": 0.0,
        "preprocessing": Preprocessing(image_size=32, mean=(0.5,) * 3, std=(0.5,) * 3).as_dict(),
        "figures": {},
    }
    save_model(path, model.state_dict(), fields)
    return path


def test_a_saved_model_predicts_alone_and_in_its_run_folder(tmp_path, photo):
    file = saved(tmp_path / "run" / "model.safetensors")
    (tmp_path / "run" / "config.yaml").write_text("epochs: 1\n")
    alone = load_predictor(file, "cpu")
    assert alone.classes == ("red", "green", "blue")
    assert alone.preprocessing.image_size == 32
    assert not alone.model.training
    assert alone.none_below == LOW_CONFIDENCE
    paths = [photo("red"), photo("green")]
    in_folder = load_predictor(tmp_path / "run", "cpu")
    assert in_folder.predict(paths) == alone.predict(paths)


def test_of_a_mirrored_model_half_as_many_images_go_at_once(tmp_path):
    file = saved(tmp_path / "model.safetensors")
    assert load_predictor(file, "cpu").batch == BATCH
    add_to_model(file, {"mirror": True})
    assert load_predictor(file, "cpu").batch == BATCH // 2


@pytest.mark.parametrize("mirror", [False, True])
def test_a_run_predicts_in_the_memory_format_of_its_plan_and_the_same(tmp_path, mirror):
    file = saved(tmp_path / "run" / "model.safetensors")
    add_to_model(file, {"mirror": mirror})
    alone = load_predictor(file, "cpu")
    planned_on(tmp_path / "run", "cpu")
    predictor = load_predictor(tmp_path / "run", "cpu")
    assert (alone.memory_format, predictor.memory_format) == ("contiguous", "channels_last")
    weights = [weight for weight in predictor.model.parameters() if weight.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    squares = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    expected = alone.probabilities(squares)
    np.testing.assert_allclose(predictor.probabilities(squares), expected, atol=1e-5)
    image = normalised_squares(squares[:1], alone.preprocessing)
    drawn = heat_map(predictor.model, image, 1)
    np.testing.assert_allclose(drawn, heat_map(alone.model, image, 1), atol=1e-3)


def test_the_format_of_a_plan_for_another_kind_of_device_says_nothing(tmp_path):
    saved(tmp_path / "run" / "model.safetensors")
    planned_on(tmp_path / "run", "cuda:0")
    assert load_predictor(tmp_path / "run", "cpu").memory_format == "contiguous"
    assert planned_format(tmp_path / "run", "cuda") == "channels_last"
    assert planned_format(tmp_path, "cuda") == "contiguous"


def planned_on(folder: Path, device: str) -> None:
    """A plan for that device, as far as a prediction reads it."""
    decisions = f"device: {{value: '{device}'}}, eval_memory_format: {{value: channels_last}}"
    (folder / "plan.yaml").write_text(f"decisions: {{{decisions}}}\n")


def test_the_device_is_the_best_or_the_one_asked_for():
    assert device_address("cpu") == "cpu"
    assert device_address("auto") == device_address(None)
    with pytest.raises(DeviceError, match="no kind of device called 'gpu'"):
        device_address("gpu")


def test_predicting_imports_nothing_of_training():
    code = (
        "import sys, lacewing.deploy.predict, lacewing.deploy.output\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('lacewing.')}\n"
        "sys.exit(str(rooms & {'training', 'planning', 'results', 'api'} or ''))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.stderr.decode().strip() == ""


def test_a_plan_of_a_gpu_asks_not_too_much_of_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr("lacewing.deploy.predict.planned_batch", lambda _: 256)
    assert load_predictor(saved(tmp_path / "model.safetensors"), "cpu").batch == EVAL_BATCH[1]
