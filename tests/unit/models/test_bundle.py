"""One file with the weights and everything that is needed to use them."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lacewing.data.preprocess import Preprocessing
from lacewing.errors import RunError
from lacewing.models.build import build_model
from lacewing.models.bundle import (
    add_to_model,
    load_model,
    read_bundle_fields,
    restore_model,
    save_model,
)
from lacewing.models.catalog import find_model


@pytest.fixture
def model():
    return build_model(find_model("test_resnet"), 5, 0.25, None, 64)


@pytest.fixture
def saved(tmp_path, model, bundle_fields):
    path = tmp_path / "model.safetensors"
    save_model(path, model.state_dict(), bundle_fields())
    return path


def test_what_was_saved_comes_back(saved, model, bundle_fields):
    bundle, fields = load_model(saved), bundle_fields()
    assert bundle.path == saved
    assert (bundle.model, bundle.dropout) == ("test_resnet", 0.25)
    assert bundle.classes == tuple(fields["classes"])
    assert bundle.class_ids == (3, 1, 4, 15, 92)
    assert bundle.preprocessing == Preprocessing.from_dict(fields["preprocessing"])
    assert bundle.figures == {"val_accuracy": 0.5}
    assert all(torch.equal(bundle.state[k], v) for k, v in model.state_dict().items())


def test_fields_are_added_and_everything_else_stays(saved):
    before = load_model(saved)
    assert before.none_below is None
    add_to_model(saved, {"none_below": 0.4})
    after = load_model(saved)
    assert (after.none_below, after.figures, after.classes) == (
        0.4,
        before.figures,
        before.classes,
    )
    assert all(torch.equal(after.state[name], value) for name, value in before.state.items())


def test_a_run_folder_is_its_model(saved):
    assert load_model(saved.parent).path == saved


def test_the_fields_are_read_without_the_tensors(saved):
    bundle = read_bundle_fields(saved)
    assert bundle.state == {}
    assert bundle.classes[0] == "aphid"


def test_the_restored_network_judges_alike_and_leaves_chance_alone(saved, model):
    images = torch.randn(2, 3, 64, 64)
    bundle = load_model(saved)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    restored = restore_model(bundle)
    assert torch.equal(torch.get_rng_state(), before)
    assert not restored.training
    with torch.no_grad():
        assert torch.equal(restored(images), model.eval()(images))


def test_tied_and_strided_weights_are_saved(tmp_path, bundle_fields):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Conv2d(2, 3, 2))
    net[1].weight = net[0].weight
    net.to(memory_format=torch.channels_last)
    save_model(tmp_path / "a.safetensors", net.state_dict(), bundle_fields())
    state = load_model(tmp_path / "a.safetensors").state
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


def test_names_in_any_script_survive(tmp_path, bundle_fields):
    fields = {**bundle_fields(), "classes": ["稻纵卷叶螟", "Käfer"]}
    save_model(tmp_path / "a.safetensors", {"a": torch.ones(1)}, fields)
    assert read_bundle_fields(tmp_path / "a.safetensors").classes == ("稻纵卷叶螟", "Käfer")


@pytest.mark.parametrize("read", [load_model, read_bundle_fields])
def test_a_file_that_is_missing_cut_off_or_not_ours_is_said(read, saved, tmp_path):
    with pytest.raises(RunError, match=r"no trained model at .*gone"):
        read(tmp_path / "gone.safetensors")
    save_file({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(RunError, match=r"was not saved by lacewing.*--weights"):
        read(tmp_path / "foreign.safetensors")
    (tmp_path / "other.pth").write_bytes(b"x")
    with pytest.raises(RunError, match="was not saved by lacewing"):
        read(tmp_path / "other.pth")
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(RunError, match="damaged"):
        read(saved)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"version": 99}, "has version 99 of the model file"),
        ({"version": 1, "model": "resnet"}, "lacks a field that every model file has: 'classes'"),
    ],
)
def test_fields_of_another_version_are_said(tmp_path, record, message):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1)}, path, metadata={"lacewing": json.dumps(record)})
    with pytest.raises(RunError, match=message):
        load_model(path)


def test_tensors_of_another_network_are_said(tmp_path, bundle_fields):
    save_model(tmp_path / "a.safetensors", {"a": torch.ones(1)}, bundle_fields())
    with pytest.raises(RunError, match="are not those of test_resnet"):
        restore_model(load_model(tmp_path / "a.safetensors"))


def test_the_same_model_is_the_same_bytes(tmp_path):
    """What kills and resumes are compared by; written often, as chance may order entries alike."""
    state = {"weight": torch.zeros(3)}
    written = set()
    for number in range(8):
        save_model(tmp_path / f"{number}", state, {"model": "test_resnet", "classes": ["a", "b"]})
        written.add((tmp_path / f"{number}").read_bytes())
    assert len(written) == 1
