"""Networks ready for training."""

from dataclasses import replace

import pytest
import torch

from lacewing.data.preprocess import Preprocessing
from lacewing.errors import ModelError
from lacewing.models.build import (
    build_model,
    describe_fit,
    features,
    head_parameters,
    linear_head,
    preprocessing_for,
)
from lacewing.models.catalog import find_model
from lacewing.models.weights import Weights


@pytest.fixture(scope="module")
def tiny():
    return find_model("test_resnet")


@pytest.mark.parametrize(
    ("changes", "size", "message"),
    [
        ({}, 16, "test_resnet needs images of at least 32 pixels, not 16"),
        ({"fixed_size": True, "native_size": 160}, 128, "accepts 160-pixel images only, not 128"),
        ({"size_multiple": 14}, 64, "a multiple of 14, not 64"),
    ],
)
def test_a_size_that_is_refused_is_said(tiny, changes, size, message):
    with pytest.raises(ModelError, match=message):
        build_model(replace(tiny, **changes), 5, 0.0, None, size)


def test_the_native_size_of_a_fixed_network_is_taken(tiny):
    fixed = replace(tiny, fixed_size=True, min_size=tiny.native_size)
    assert build_model(fixed, 5, 0.0, None, tiny.native_size)


def test_a_transformer_is_built_for_the_size_asked():
    info = find_model("vit_tiny_patch16_224")
    model = build_model(info, 5, 0.1, None, 64)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 5)


def test_two_builds_start_differently_and_a_seed_makes_them_alike(tiny):
    def head(seed=None):
        if seed is not None:
            torch.manual_seed(seed)
        return build_model(tiny, 5, 0.0, None, 64).fc.weight

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head())


def test_weights_are_loaded_and_described_alike(tiny):
    state = build_model(tiny, 5, 0.0, None, 64).state_dict()
    weights = Weights(state=state, source="F")
    model = build_model(tiny, 9, 0.0, weights, 64)
    assert torch.equal(model.bn1.weight, state["bn1.weight"])
    assert "head for 5 classes was left out" in describe_fit(tiny, 9, weights, 64)


def test_preprocessing_is_the_weights_before_the_networks(tiny):
    plain = preprocessing_for(tiny, 96, None)
    assert plain == Preprocessing(
        image_size=96,
        mean=tiny.mean,
        std=tiny.std,
        interpolation=tiny.interpolation,
        crop_fraction=tiny.crop_fraction,
    )
    own = Weights(state={}, source="F", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert preprocessing_for(tiny, 96, own) == replace(plain, mean=own.mean, std=own.std)


def test_two_heads_have_no_features_of_their_own():
    info = find_model("levit_128s")
    model = build_model(info, 5, 0.0, None, info.native_size)
    assert {name.split(".")[0] for name in head_parameters(model)} == {"head", "head_dist"}
    with pytest.raises(ModelError, match="does not end in one linear layer"):
        linear_head(model)


def test_features_remove_their_hook_and_track_no_gradients(tiny):
    model = build_model(tiny, 5, 0.5, None, 64)
    pooled = features(model, torch.zeros(2, 3, 64, 64))
    assert not pooled.requires_grad
    assert not model.fc._forward_pre_hooks
