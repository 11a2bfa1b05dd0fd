"""An export gives the model's answers, or it is refused and leaves nothing behind."""

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lacewing.data.index import ImageIndex
from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.export import onnx_file, onnx_int8
from lacewing.deploy.export.carry_out import export_run, find_exporter
from lacewing.deploy.export.exporter import CLOSE, Exporter, Source
from lacewing.deploy.export.formats import EXPORTERS
from lacewing.deploy.export.graph import Deployable
from lacewing.deploy.export.pictures import (
    checking_pictures,
    made_up,
    read_split,
    training_squares,
)
from lacewing.deploy.predict import load_predictor, read_square
from lacewing.errors import ConfigError, DataError, LacewingError, MissingExtraError, UserError
from lacewing.hardware.machine import Limit
from lacewing.models.bundle import add_to_model

SQUARES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
RULE = Preprocessing(image_size=8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.4, 0.2))


class Means(nn.Module):
    """Logits [N, 3]: the mean of each channel."""

    def forward(self, images):
        return 5 * images.mean((2, 3))


def saved_weights(source, folder):
    """A writer that is quick: the model as torch pickles it."""
    torch.save(source.model, folder / "model.bin")


def run_saved(path):
    model = torch.load(path, weights_only=False)
    return lambda squares: model(torch.from_numpy(squares)).detach().numpy()


def off_by(difference):
    """A runner's maker whose probabilities are wrong by so much."""

    def open_runner(path):
        right = run_saved(path)

        def run(squares):
            found = right(squares)
            found[:, 0] += difference
            return found

        return run

    return open_runner


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Test processes share the cores: threads that wait for each other would take longer."""
    monkeypatch.setattr(
        "lacewing.deploy.predict.usable_cores", lambda: Limit(value=1, source="the test")
    )


@pytest.fixture
def quick(monkeypatch):
    """`quick(max_difference=...)` makes the format `quick` an exporter without a library."""

    def make(**fields):
        exporter = Exporter(
            file="model.bin", **{"write": saved_weights, "open": run_saved, **fields}
        )
        monkeypatch.setitem(EXPORTERS, "quick", lambda: exporter)
        return exporter

    return make


def test_the_preprocessing_is_inside():
    inputs = (SQUARES.astype(np.float64) / 255 - RULE.mean) / RULE.std
    expected = torch.from_numpy(5 * inputs.mean((1, 2))).softmax(1).numpy()
    with torch.no_grad():
        found = Deployable(Means(), RULE)(torch.from_numpy(SQUARES))
    assert found.dtype == torch.float32
    assert found.numpy() == pytest.approx(expected, abs=1e-6)


def test_an_export_is_compared_and_described(quick, copied_run):
    quick()
    exported = export_run(copied_run.folder, "quick")
    assert exported.folder == copied_run.folder / "exports" / "quick"
    assert sorted(path.name for path in exported.folder.iterdir()) == ["model.bin", "model.json"]
    comparison = exported.comparison
    assert comparison.images == 15
    assert comparison.origin == "images of the val split"
    assert comparison.agreement == 1
    assert comparison.largest_difference < 1e-6
    assert comparison.original_accuracy == comparison.exported_accuracy == 1
    assert comparison.original_bytes == copied_run.model.stat().st_size
    assert comparison.exported_bytes == exported.file.stat().st_size
    beside = json.loads((exported.folder / "model.json").read_text())
    assert beside["classes"] == ["aphid", "beetle", "moth"]
    assert beside["file"] == "model.bin"
    assert beside["input"]["shape"] == ["N", 64, 64, 3]
    assert beside["preprocessing"]["inside_the_model"]["mean"] == pytest.approx(
        load_predictor(copied_run.folder, "cpu").preprocessing.mean
    )
    assert beside["comparison"] == comparison.as_dict()


@pytest.mark.parametrize("difference", [2 * CLOSE, -2 * CLOSE, float("nan")])
def test_other_answers_are_refused_and_nothing_is_left(quick, copied_run, difference):
    quick(open=off_by(difference))
    with pytest.raises(LacewingError, match="refused and nothing is kept of it: its probabil"):
        export_run(copied_run.folder, "quick")
    assert list((copied_run.folder / "exports").iterdir()) == []


def test_a_refused_export_leaves_the_earlier_one(quick, copied_run):
    quick()
    before = export_run(copied_run.folder, "quick").file.read_bytes()
    quick(open=off_by(0.1))
    with pytest.raises(LacewingError, match="refused"):
        export_run(copied_run.folder, "quick")
    assert (copied_run.folder / "exports" / "quick" / "model.bin").read_bytes() == before


def test_a_coarse_format_may_differ_as_long_as_it_agrees(quick, copied_run):
    quick(open=off_by(0.01), max_difference=None, min_agreement=0.95)
    assert export_run(copied_run.folder, "quick").comparison.agreement == 1
    quick(open=off_by(1.0), max_difference=None, min_agreement=0.95)
    with pytest.raises(LacewingError, match="names the model's class for only 33% of 15 images"):
        export_run(copied_run.folder, "quick")


def test_what_a_library_cannot_write_is_one_sentence(quick, copied_run):
    def fail(source, folder):
        raise RuntimeError("no operator foo\nat line 1")

    quick(write=fail)
    with pytest.raises(LacewingError, match=r"can't be written as quick.*\(no operator foo\)"):
        export_run(copied_run.folder, "quick")
    assert list((copied_run.folder / "exports").iterdir()) == []


def test_another_folder_can_be_named(quick, copied_run, tmp_path):
    quick()
    target = tmp_path / "deep" / "field app"
    assert export_run(copied_run.folder, "quick", target).folder == target
    assert export_run(copied_run.folder, "quick", target).file.is_file()
    target.with_name("notes").mkdir()
    (target.with_name("notes") / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        export_run(copied_run.folder, "quick", target.with_name("notes"))
    with pytest.raises(ConfigError, match="is a file"):
        export_run(copied_run.folder, "quick", target / "model.bin")


def test_an_unknown_format_is_named_with_its_like():
    with pytest.raises(ConfigError, match="no export format 'onx'; did you mean onnx"):
        find_exporter("onx")


def test_without_its_images_a_run_is_compared_on_made_up_ones(quick, copied_run, tmp_path):
    index = ImageIndex.load(copied_run.index)
    replace(index, root=tmp_path / "gone").save(copied_run.index)
    quick()
    comparison = export_run(copied_run.folder, "quick").comparison
    assert comparison.origin == "made-up pictures"
    assert comparison.images == len(made_up(64))
    assert comparison.original_accuracy is comparison.exported_accuracy is None


def test_made_up_pictures_are_the_same_each_time_and_differ():
    squares = made_up(16, count=4)
    assert squares.shape == (4, 16, 16, 3)
    assert np.array_equal(squares, made_up(16, count=4))
    assert not np.array_equal(squares[0], squares[1])


def test_unreadable_images_are_passed_over(copied_run, tmp_path):
    rule = Preprocessing(image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
    index = ImageIndex.load(copied_run.index)
    photos = index.split("val").paths()[:4]
    for number, path in enumerate(photos):
        place = tmp_path / "few" / Path(path).relative_to(index.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(Path(path).read_bytes() if number != 1 else b"broken")
    moved = replace(index, root=tmp_path / "few")
    found = read_split(moved, "val", rule, threads=1)
    kept = [photos[0], photos[2], photos[3]]
    assert np.array_equal(found.squares, [read_square(Path(path), rule) for path in kept])
    assert found.labels.tolist() == [0, 0, 0]


def test_pictures_are_spread_over_the_classes(finished_run, monkeypatch):
    monkeypatch.setattr("lacewing.deploy.export.pictures.COUNT", 6)
    rule = Preprocessing(image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert checking_pictures(finished_run, rule, 1).labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_calibration_needs_the_training_images(copied_run, tmp_path):
    rule = Preprocessing(image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert training_squares(copied_run, rule, 1).shape == (24, 8, 8, 3)
    index = ImageIndex.load(copied_run.index)
    replace(index, root=tmp_path / "gone").save(copied_run.index)
    with pytest.raises(DataError, match="Calibration needs the run's training images"):
        training_squares(copied_run, rule, 1)


def test_a_missing_library_is_named_with_its_remedy(copied_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r'pip install "lacewing\[export\]"'):
        export_run(copied_run.folder, "onnx")
    assert list((copied_run.folder / "exports").iterdir()) == []


@pytest.mark.parametrize("version", ["2.4.1", "2.5.0+cu121"])
def test_a_torch_without_the_exporter_is_refused(version):
    with pytest.raises(UserError, match=f"needs torch 2.6 or newer, and this is {version[:3]}"):
        onnx_file.check_torch(version)


def test_newer_torches_are_not():
    onnx_file.check_torch("2.6.0")
    onnx_file.check_torch("2.14.1+cpu")
    onnx_file.check_torch("3.0.0a0+git1234")


def test_the_command_knows_every_format():
    from lacewing.commands.deploy import FORMATS

    assert tuple(EXPORTERS) == FORMATS


writes_onnx = pytest.mark.skipif(
    torch.__version__ < onnx_file.OLDEST_TORCH, reason="this torch has no exporter that we use"
)


NEEDS_ONNX = pytest.mark.skipif(
    find_spec("onnxruntime") is None or torch.__version__ < (2, 6),
    reason="the extra `export` is not installed, or torch is older than 2.6",
)


def exported(run, format, folder):
    """An export, and the original's and its own probabilities of other images than compared."""
    result = export_run(run.folder, format, folder)
    squares = made_up(64, count=3)
    runner = EXPORTERS[format]().open(result.file)
    return result, load_predictor(run.folder, "cpu").probabilities(squares), runner(squares)


@pytest.mark.slow
@pytest.mark.parametrize("format", [pytest.param("onnx", marks=NEEDS_ONNX), "torchscript", "pt2"])
def test_every_format_gives_the_models_answers(format, finished_run, tmp_path):
    result, expected, found = exported(finished_run, format, tmp_path / "out")
    assert result.comparison.agreement == 1
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=CLOSE)


@pytest.fixture
def mirrored_run(copied_run):
    add_to_model(copied_run.model, {"mirror": True})
    return copied_run


@pytest.mark.slow
@pytest.mark.parametrize("format", [pytest.param("onnx", marks=NEEDS_ONNX), "torchscript", "pt2"])
def test_a_mirrored_model_is_exported_with_both_passes_inside(format, mirrored_run, tmp_path):
    result, expected, found = exported(mirrored_run, format, tmp_path / "out")
    assert result.comparison.largest_difference <= CLOSE
    assert found == pytest.approx(expected, abs=CLOSE)
    runner = EXPORTERS[format]().open(result.file)
    turned = np.ascontiguousarray(made_up(64, count=3)[:, :, ::-1])
    assert runner(turned) == pytest.approx(found, abs=CLOSE)
    # the layers are in it once
    assert result.comparison.exported_bytes < 1.5 * result.comparison.original_bytes


@writes_onnx
@pytest.mark.slow
@NEEDS_ONNX
def test_int8_is_smaller_and_agrees(finished_run, tmp_path):
    result, expected, found = exported(finished_run, "onnx-int8", tmp_path / "out")
    comparison = result.comparison
    assert comparison.agreement >= 0.95
    assert comparison.exported_bytes < 0.4 * comparison.original_bytes
    # rounding shows, or nothing was quantised
    assert 1e-5 < comparison.largest_difference < 0.1
    assert found == pytest.approx(expected, abs=0.1)
    stated = json.loads((result.folder / "model.json").read_text())["comparison"]
    assert stated["exported_accuracy"] == comparison.exported_accuracy


@writes_onnx
@pytest.mark.slow
@NEEDS_ONNX
def test_int8_leaves_the_first_layers_in_float_where_it_must(finished_run, tmp_path, monkeypatch):
    tried = []

    def quantise(prepared, target, squares, in_float):
        assert in_float == onnx_int8.layer_names(prepared)[: len(in_float)]
        tried.append(len(in_float) / len(onnx_int8.layer_names(prepared)))
        target.write_bytes(prepared.read_bytes())

    def answers(runner, squares):
        # the whole network first, then each attempt; only the third agrees
        return np.eye(3)[[0] * 10 if len(tried) in (0, 3) else [1] * 10]

    monkeypatch.setattr(onnx_int8, "quantise", quantise)
    monkeypatch.setattr(onnx_int8, "in_batches", answers)
    predictor = load_predictor(finished_run.folder, "cpu")
    source = Source(
        Deployable(predictor.model, predictor.preprocessing).eval(),
        64,
        lambda: made_up(64, 10),
        finished_run,
    )
    onnx_int8.write(source, tmp_path)
    assert tried == pytest.approx([0, 1 / 8, 1 / 4], abs=0.05)


@writes_onnx
@pytest.mark.slow
@NEEDS_ONNX
@pytest.mark.parametrize(
    "name", ["test_resnet", "test_efficientnet", "squeezenet", "fpn", "test_convnext", "test_vit"]
)
def test_networks_of_every_family_can_be_exported(name, make_finished_run):
    comparison = export_run(make_finished_run(name).folder, "onnx").comparison
    assert comparison.largest_difference <= CLOSE
    assert comparison.agreement == 1
