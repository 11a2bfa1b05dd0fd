"""Which image sizes a network accepts."""

import pytest
import torch

from lacewing.models.networks import create_network, original_network
from lacewing.models.sizes import Sizes, accepts, sizes_of, takes_one_image


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("resnet18", Sizes(native=224, smallest=32)),
        ("inception_v3", Sizes(native=299, smallest=75)),
        ("dla34", Sizes(native=224, smallest=32, multiple=32)),
        ("test_vit", Sizes(native=160, smallest=32, multiple=16, built=True)),
        ("vit_small_patch14_dinov2", Sizes(native=518, smallest=42, multiple=14, built=True)),
        ("levit_128s", Sizes(native=224, smallest=32, multiple=32, built=True)),
        ("crossvit_9_240", Sizes(native=240, smallest=240, fixed=True)),
        ("halonet26t", Sizes(native=256, smallest=256, fixed=True)),
        ("efficientformer_l1", Sizes(native=224, smallest=224, fixed=True)),
    ],
)
def test_sizes_of_timms_networks(architecture, expected):
    assert sizes_of("timm", architecture, original_network("timm", architecture)) == expected


def test_the_smallest_size_is_accepted_and_less_is_not():
    net = original_network("timm", "inception_v3")
    assert accepts(net, 75)
    assert not accepts(net, 74)


def test_a_network_built_for_a_size_takes_that_size():
    with torch.device("meta"):
        net = create_network("timm", "vit_tiny_patch16_224", 5, 0.0, 96)
    assert accepts(net, 96)
    assert not accepts(net, 224)


@pytest.mark.parametrize(
    ("architecture", "size", "takes"),
    [
        ("resnet18", 32, False),  # a map of one pixel before the last BatchNorms
        ("resnet18", 64, True),
        ("skresnet18", 224, False),  # a BatchNorm behind a global pooling
        ("test_convnext", 32, True),  # no BatchNorm at all
    ],
)
def test_whether_a_network_can_be_trained_on_one_image_at_a_time(architecture, size, takes):
    assert takes_one_image(original_network("timm", architecture), size) == takes
