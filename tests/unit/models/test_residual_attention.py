"""The residual attention network against its paper."""

import pytest
import torch

from lacewing.models.networks import original_network
from lacewing.models.residual_attention import AttentionModule, ResidualAttention, SoftMask


def test_attention_56_has_the_papers_parameters():
    net = original_network("lacewing", "residual-attention")
    parameters = sum(value.numel() for value in net.parameters())
    assert parameters == pytest.approx(31.9e6, rel=0.03)


@pytest.mark.parametrize("size", [32, 75, 224])
def test_any_size_works(size):
    with torch.device("meta"):
        net = ResidualAttention(7, 0.5)
        assert net(torch.empty(2, 3, size, size)).shape == (2, 7)


@pytest.mark.parametrize("side", [1, 2, 7, 13])
def test_a_mask_has_the_shape_of_its_features_and_lies_between_0_and_1(side):
    torch.manual_seed(0)
    features = torch.randn(2, 16, side, side)
    mask = SoftMask(16, depth=3)(features)
    assert mask.shape == features.shape
    assert mask.min() > 0 and mask.max() < 1


def test_an_empty_mask_leaves_the_trunk_as_it_is():
    torch.manual_seed(0)
    module = AttentionModule(16, depth=2).eval()
    features = torch.randn(2, 16, 8, 8)
    module.mask = torch.nn.Module()
    module.mask.forward = torch.zeros_like
    first = module.first(features)
    assert torch.equal(module(features), module.last(module.trunk(first)))


def test_channels_last_gives_the_same_logits():
    torch.manual_seed(0)
    net = ResidualAttention(5, 0.0).eval()
    images = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        expected = net(images)
        net = net.to(memory_format=torch.channels_last)
        actual = net(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)
