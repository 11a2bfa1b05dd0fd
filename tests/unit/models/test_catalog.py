"""Networks by name."""

import tracemalloc

import pytest

from lacewing.errors import ModelError
from lacewing.models.catalog import CLASSIC, COUNTED_ROWS, find_model, list_models


@pytest.mark.parametrize(
    ("name", "architecture", "native", "least", "parameters"),
    [
        ("resnet", "resnet50", 224, 32, 25_557_032),
        ("inception", "inception_v3", 299, 75, 23_834_568),
        ("efficientnet_lite0", "tf_efficientnet_lite0", 224, 32, 4_652_008),
        ("alexnet", "alexnet", 224, 64, 61_100_840),
    ],
)
def test_a_classic_name_is_known(name, architecture, native, least, parameters):
    info = find_model(name)
    assert (info.name, info.architecture) == (name, architecture)
    assert (info.native_size, info.min_size, info.size_multiple) == (native, least, 1)
    assert info.parameters == parameters
    assert not info.fixed_size


def test_preprocessing_is_the_networks_own():
    lite, alexnet = find_model("efficientnet_lite0"), find_model("alexnet")
    assert lite.mean == lite.std == (0.5, 0.5, 0.5)
    assert (lite.interpolation, lite.crop_fraction) == ("bicubic", 0.875)
    assert alexnet.mean == (0.485, 0.456, 0.406)
    assert alexnet.interpolation == "bilinear"


def test_a_tag_chooses_other_constants():
    assert find_model("resnet50.a1_in1k").crop_fraction == 0.95
    assert find_model("resnet50.tv_in1k").crop_fraction == 0.875


def test_finding_a_network_takes_no_memory_for_its_weights():
    find_model("resnet18")  # whatever is imported late
    tracemalloc.start()
    find_model.__wrapped__("vgg")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnt50", r"no network called 'resnt50'; did you mean resnet50 or .*\?$"),
        ("residual_attention", r"; did you mean residual-attention\?$"),
        ("@@@@", r"'@@@@': `lacewing models` lists them\.$"),
        ("resnet50.a1_in1", r"no weights called 'resnet50.a1_in1'; did you mean resnet50.a1_in1k"),
        ("resnet50.@@@@@@@@@@@@@", r"give resnet50 alone\.$"),
        ("mobilenetv5_300m_enc", r"is an encoder without a classifier"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name, hint):
    with pytest.raises(ModelError, match=hint):
        find_model(name)


def test_the_list_without_a_pattern_is_the_classic_table():
    rows = {row.name: row for row in list_models()}
    assert list(rows) == list(CLASSIC)
    assert rows["resnet"].parameters == 25_557_032
    assert rows["efficientnet_lite0"].weights == "offline"
    assert rows["resnet"].weights == rows["fpn"].weights == rows["alexnet"].weights == "download"
    assert rows["residual-attention"].weights == "none"


def test_a_pattern_matches_classic_and_timm_names():
    assert [row.name for row in list_models("*lite0")] == [
        "efficientnet_lite0",
        "tf_efficientnet_lite0",
    ]
    assert {"resnet18", "seresnet18"} <= {row.name for row in list_models("resnet18")}
    assert list_models("nothing like that") == []


def test_a_long_list_goes_without_counts():
    rows = list_models("resnet")
    assert len(rows) > COUNTED_ROWS
    assert {row.parameters for row in rows} == {None}


def test_weights_in_a_cache_are_offline(in_hub_cache, random_state):
    in_hub_cache("timm/test_resnet.r160_in1k", random_state("timm", "test_resnet"))
    rows = {row.name: row.weights for row in list_models("test_*net")}
    assert rows["test_resnet"] == "offline"
    assert rows["test_efficientnet"] == "download"
