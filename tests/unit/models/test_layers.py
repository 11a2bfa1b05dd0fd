"""Layers of a network, counted from its head."""

import pytest

from lacewing.models.build import build_model, head_parameters
from lacewing.models.catalog import find_model
from lacewing.models.layers import layer_rates, layers_below_head


def made(name):
    info = find_model(name)
    return build_model(info, 3, 0.0, None, max(info.min_size, 32))


@pytest.mark.parametrize(
    ("name", "layers", "first", "last"),
    [
        ("efficientnet_lite0", 17, "conv_stem.weight", "conv_head.weight"),
        ("resnet18", 9, "conv1.weight", "layer4.1.conv1.weight"),
        ("alexnet", 7, "features.0.weight", "classifier.4.weight"),
        ("squeezenet", 9, "features.0.weight", "features.12.squeeze.weight"),
    ],
)
def test_they_are_counted_from_the_head(name, layers, first, last):
    below = layers_below_head(made(name))
    assert below[first] == max(below.values()) == layers
    assert below[last] == 1


@pytest.mark.parametrize(
    "name", ["vgg11", "efficientnet_lites", "fpn", "residual-attention", "test_vit", "levit_128s"]
)
def test_each_parameter_has_one_and_none_is_left_out(name):
    model = made(name) if name not in ("test_vit", "levit_128s") else build_model(
        find_model(name), 3, 0.0, None, find_model(name).native_size
    )  # fmt: skip
    below = layers_below_head(model)
    assert below.keys() == dict(model.named_parameters()).keys()
    assert set(below.values()) == set(range(max(below.values()) + 1))
    assert {name for name, place in below.items() if not place} == head_parameters(model)


def test_networks_side_by_side_end_at_the_same_head():
    below = layers_below_head(made("efficientnet_lites"))
    assert below["bodies.0.conv_head.weight"] == below["bodies.1.conv_head.weight"] == 1
    assert below["bodies.0.conv_stem.weight"] == 17
    assert below["bodies.1.conv_stem.weight"] == 22


def test_the_levels_of_a_pyramid_are_side_by_side():
    below = layers_below_head(made("fpn"))
    assert {below[f"smooth.{level}.weight"] for level in range(4)} == {1}
    assert {below[f"lateral.{level}.weight"] for level in range(4)} == {2}
    assert below["backbone.layer4.2.conv1.weight"] == 3
    assert below["backbone.conv1.weight"] == max(below.values()) == 19


def test_rates_fall_from_layer_to_layer():
    rates = layer_rates(made("resnet18"), head_rate=10.0, decay=0.5)
    assert rates["fc.weight"] == 10.0
    assert rates["layer4.1.conv1.weight"] == 1.0
    assert rates["layer4.0.conv1.weight"] == 0.5
    assert rates["conv1.weight"] == 0.5**8


def test_without_a_decay_all_but_the_head_learn_alike():
    rates = layer_rates(made("resnet18"), head_rate=10.0, decay=1.0)
    assert {name for name, rate in rates.items() if rate != 1.0} == {"fc.weight", "fc.bias"}
