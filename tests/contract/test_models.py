"""What every classic network must do: being in the table means being tested."""

import pytest
import torch

from lacewing.errors import ModelError
from lacewing.models.build import (
    apply_head,
    build_model,
    features,
    head_parameters,
    linear_head,
    preprocessing_for,
)
from lacewing.models.bundle import load_model, restore_model, save_model
from lacewing.models.catalog import CLASSIC, find_model

CLASSES = 5
HEAVY = {"vgg", "alexnet", "resnet101"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in CLASSIC]


@pytest.fixture(scope="module", params=NAMES)
def info(request):
    return find_model(request.param)


@pytest.fixture(scope="module")
def size(info):
    return max(info.min_size, 32)


@pytest.fixture(scope="module")
def model(info, size):
    torch.manual_seed(0)
    return build_model(info, CLASSES, 0.5, None, size)


@pytest.fixture(scope="module")
def images(size):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_logits_have_a_column_for_each_class(model, images):
    logits = model(images)
    assert logits.shape == (2, CLASSES)
    assert logits.dtype == torch.float32


def test_the_head_is_for_the_classes_asked(model):
    head = linear_head(model)
    assert head.weight.shape[0] == CLASSES
    named = dict(model.named_parameters())
    assert {id(named[name]) for name in head_parameters(model)} == {
        id(parameter) for parameter in head.parameters()
    }


def test_every_parameter_gets_a_finite_gradient(model, images):
    model.train().zero_grad()
    (model(images) * torch.arange(CLASSES)).sum().backward()
    gradients = {name: value.grad for name, value in model.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    assert [name for name, one in gradients.items() if not one.isfinite().all()] == []
    model.zero_grad()


def test_dropout_acts_in_training_and_not_in_evaluation(model, images):
    with torch.no_grad():
        model.train()
        assert not torch.equal(model(images), model(images))
        model.eval()
        assert torch.equal(model(images), model(images))


def test_without_dropout_training_is_certain(info, size, images):
    model = build_model(info, CLASSES, 0.0, None, size).train()
    with torch.no_grad():
        assert torch.equal(model(images), model(images))


def test_head_on_features_gives_the_logits(model, images):
    model.eval()
    with torch.no_grad():
        pooled = features(model, images)
        assert pooled.shape == (2, linear_head(model).weight.shape[1])
        torch.testing.assert_close(apply_head(model, pooled), model(images))


def test_features_leave_the_network_as_it_was(model, images):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.equal(features(model, images), features(model, images))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_bundle_restores_the_network(info, size, model, images, tmp_path):
    fields = {
        "model": info.name,
        "classes": [f"pest {label}" for label in range(CLASSES)],
        "class_ids": list(range(CLASSES)),
        "dropout": 0.5,
        "preprocessing": preprocessing_for(info, size, None).as_dict(),
        "figures": {},
    }
    save_model(tmp_path / "model.safetensors", model.state_dict(), fields)
    restored = restore_model(load_model(tmp_path / "model.safetensors"))
    model.eval()
    with torch.no_grad():
        assert torch.equal(restored(images), model(images))


def test_a_size_that_it_refuses_is_said(info):
    with pytest.raises(ModelError, match=f"{info.name} needs images of at least {info.min_size} "):
        build_model(info, CLASSES, 0.5, None, info.min_size - info.size_multiple)
