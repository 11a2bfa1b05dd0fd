"""The shared folder: timm builds the same network from it, and its card says what is known."""

import json
from pathlib import Path

import pytest
import timm
import torch
import yaml
from safetensors import safe_open
from timm.models import _hub

import lacewing
from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.export.carry_out import export_run
from lacewing.deploy.export.pictures import made_up
from lacewing.deploy.predict import load_predictor
from lacewing.deploy.share.card import cell, model_card
from lacewing.deploy.share.licences import find_licence
from lacewing.deploy.share.push import push
from lacewing.deploy.share.timm_config import crop_share
from lacewing.errors import ConfigError, RunError, UserError
from lacewing.hardware.machine import Limit
from lacewing.models.bundle import add_to_model
from lacewing.results.metrics import figures
from lacewing.store.run import write_json


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr(
        "lacewing.deploy.predict.usable_cores", lambda: Limit(value=1, source="the test")
    )


@pytest.fixture(scope="module")
def shared(finished_run, tmp_path_factory):
    return export_run(finished_run.folder, "hub", tmp_path_factory.mktemp("shared") / "hub").folder


@pytest.fixture
def judged_run(copied_run):
    """A run with figures: two of three test images are right."""
    probabilities = torch.eye(3)[[0, 1, 1]].numpy()
    found = figures(probabilities, torch.tensor([0, 1, 2]).numpy(), ("aphid", "beetle", "moth"))
    write_json(copied_run.results, {"splits": {"test": found.as_dict()}})
    return copied_run


def test_the_folder_holds_these_files(shared):
    names = {path.name for path in shared.iterdir()}
    assert names == {"README.md", "config.json", "model.json", "model.safetensors"}
    with safe_open(shared / "model.safetensors", framework="pt") as opened:
        assert opened.metadata()["format"] == "pt"
    beside = json.loads((shared / "model.json").read_text())
    assert beside["input"]["type"] == "float32"
    assert beside["output"]["name"] == "logits"
    assert "inside_the_model" not in beside["preprocessing"]


@pytest.mark.skipif(
    not hasattr(_hub, "load_model_config_from_path"), reason="this timm reads no folders"
)
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_timm_builds_the_same_network(name, make_finished_run):
    run = make_finished_run(name)
    folder = export_run(run.folder, "hub").folder
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    predictor = load_predictor(run.folder, "cpu")
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network(images), predictor.model(images))
    settings = timm.data.resolve_model_data_config(network)
    rule = predictor.preprocessing
    assert (tuple(settings["mean"]), tuple(settings["std"])) == (rule.mean, rule.std)
    assert tuple(settings["input_size"]) == (3, 64, 64)
    assert settings["interpolation"] == rule.interpolation
    assert network.pretrained_cfg["label_names"] == ["aphid", "beetle", "moth"]
    # and a new head can be put on it, as on timm's own
    other = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=5)
    assert other.eval()(images).shape == (3, 5)


def test_of_a_mirrored_model_the_card_shows_the_mean_and_the_check_takes_it(copied_run):
    plain = model_card(copied_run)
    assert "mirror" not in plain
    add_to_model(copied_run.model, {"mirror": True})
    exported = export_run(copied_run.folder, "hub")
    assert exported.comparison.largest_difference < 1e-6
    card = (exported.folder / "README.md").read_text()
    assert "(network(images) + network(images.flip(3))) / 2" in card
    beside = json.loads((exported.folder / "model.json").read_text())
    assert "mirror image's" in beside["output"]["meaning"]
    squares = made_up(64, count=2)
    expected = load_predictor(copied_run.folder, "cpu").probabilities(squares)
    assert lacewing.load(exported.folder).probabilities(squares) == pytest.approx(expected)


def test_a_network_that_is_not_timms_is_read_by_lacewing(make_finished_run):
    run = make_finished_run("squeezenet")
    folder = export_run(run.folder, "hub").folder
    assert "architecture" not in json.loads((folder / "config.json").read_text())
    card = (folder / "README.md").read_text()
    assert "timm" not in card
    squares = made_up(64, count=2)
    expected = load_predictor(run.folder, "cpu").probabilities(squares)
    assert lacewing.load(folder).probabilities(squares) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [64, 96, 128, 160, 196, 224, 299, 384])
@pytest.mark.parametrize("share", [0.875, 0.9, 0.95, 1.0])
def test_timm_resizes_to_the_same_side(size, share):
    rule = Preprocessing(image_size=size, mean=(0,) * 3, std=(1,) * 3, crop_fraction=share)
    # timm.data.transforms_factory: the side of the resized image is rounded down
    assert int(size / crop_share(rule)) == rule.resize_size


def header(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_has_the_figures_and_their_intervals(judged_run):
    card = model_card(judged_run)
    assert "| top-1 accuracy | 66.7% | " in card
    assert "| moth | 0.0% | 0.0% to 79.3% | 1 |" in card
    assert "24 training, 15 validation and 0 test images" in card
    (result,) = header(card)["model-index"][0]["results"]
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.6667}
    assert header(card)["library_name"] == "timm"
    assert str(judged_run.folder.parent) not in card


def test_the_card_of_a_run_without_figures_says_so(finished_run):
    card = model_card(finished_run)
    assert "nothing is known of its quality" in card
    assert "model-index" not in header(card)


@pytest.mark.parametrize(
    ("licence", "fields", "sentence"),
    [
        (None, {}, "licence this model may be used is its owner's to choose, and none is named"),
        ("mit", {"license": "mit"}, "does so under the licence `mit`."),
        ("other", {"license": "other", "license_name": "see-this-card",
                   "license_link": "README.md"}, "writes here under which terms"),
    ],
)  # fmt: skip
def test_the_card_names_the_licence_that_was_chosen(finished_run, licence, fields, sentence):
    card = model_card(finished_run, licence)
    named = {name: value for name, value in header(card).items() if name.startswith("license")}
    assert named == fields
    assert sentence in card


def test_a_licence_is_one_that_the_hub_knows(finished_run, shared):
    assert find_licence("Apache-2.0") == "apache-2.0"
    with pytest.raises(ConfigError, match=r"no licence 'apache'; did you mean apache-2.0"):
        push(finished_run.folder, "ann/pests", licence="apache", client=Hub())
    with pytest.raises(ConfigError, match="no licence '%': `other` is for terms that you write"):
        export_run(finished_run.folder, "hub", licence="%")
    with pytest.raises(ConfigError, match="--to onnx writes none: use --to hub"):
        export_run(finished_run.folder, "onnx", licence="mit")
    with pytest.raises(ConfigError, match="write `license: mit` into the header"):
        push(shared, "ann/pests", licence="MIT", client=Hub())


def test_names_keep_out_of_the_tables_way():
    assert cell("a|b\n*c* <d>") == "a\\|b \\*c\\* &lt;d&gt;"


class Hub:
    """What of huggingface_hub.HfApi is used."""

    def __init__(self, error=None):
        self.error, self.calls, self.files = error, [], {}

    def create_repo(self, name, *, private, exist_ok):
        if self.error:
            raise self.error
        self.calls.append((name, private, exist_ok))
        return f"https://hub.example/{name}"

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        self.calls.append((repo_id, commit_message))
        self.files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}


def test_a_run_is_pushed_with_its_card(finished_run):
    hub = Hub()
    address = push(finished_run.folder, "ann/pests", licence="CC-BY-NC-4.0", client=hub)
    assert address == "https://hub.example/ann/pests"
    assert hub.calls == [("ann/pests", False, True), ("ann/pests", "Share a model of lacewing")]
    assert set(hub.files) == {"README.md", "config.json", "model.json", "model.safetensors"}
    assert b'lacewing.load("hub:ann/pests")' in hub.files["README.md"]
    assert header(hub.files["README.md"].decode())["license"] == "cc-by-nc-4.0"
    assert not (finished_run.folder / "exports").exists()


def test_an_edited_folder_is_pushed_as_it_is(shared):
    before = (shared / "README.md").read_text()
    try:
        (shared / "README.md").write_text("mine")
        hub = Hub()
        push(shared, "ann/pests", private=True, client=hub)
    finally:
        (shared / "README.md").write_text(before)
    assert hub.files["README.md"] == b"mine"
    assert hub.calls[0] == ("ann/pests", True, True)


def test_what_cannot_be_pushed_is_said(finished_run, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="names no repository on the hub"):
        push(finished_run.folder, "pests", client=Hub())
    with pytest.raises(RunError, match="neither a run folder nor one that"):
        push(tmp_path, "ann/pests", client=Hub())
    refusing = Hub(PermissionError("403 Forbidden.\nlong text"))
    with pytest.raises(UserError, match=r"refused ann/pests \(403 Forbidden\): `hf auth login`"):
        push(finished_run.folder, "ann/pests", client=refusing)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="Nothing was shared: HF_HUB_OFFLINE is set"):
        push(finished_run.folder, "ann/pests")
