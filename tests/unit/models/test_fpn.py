"""The feature pyramid as a classifier."""

import torch

from lacewing.models.fpn import FILTERS, FeaturePyramid
from lacewing.models.networks import original_network


def test_the_backbone_is_timms_resnet50():
    with torch.device("meta"):
        backbone = FeaturePyramid(5, 0.5).backbone.state_dict()
    resnet = original_network("timm", "resnet50").state_dict()
    assert {name: value.shape for name, value in backbone.items()} == {
        name: value.shape for name, value in resnet.items() if not name.startswith("fc.")
    }


def test_levels_stand_at_strides_4_to_32():
    with torch.device("meta"):
        levels = FeaturePyramid(5, 0.5).levels(torch.empty(2, 3, 64, 64))
    assert [level.shape for level in levels] == [(2, FILTERS, side, side) for side in (16, 8, 4, 2)]


def test_coarse_features_reach_the_finest_level():
    torch.manual_seed(0)
    net = FeaturePyramid(5, 0.0).eval()
    images = torch.randn(1, 3, 33, 33)
    with torch.no_grad():
        before = net.levels(images)
        net.lateral[-1].bias += 1
        after = net.levels(images)
    assert all(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_the_features_are_the_levels_means():
    torch.manual_seed(0)
    net = FeaturePyramid(5, 0.0).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        means = [level.mean((2, 3)) for level in net.levels(images)]
        assert torch.equal(net.pooled(images), torch.cat(means, 1))
        assert torch.equal(net(images), net.head(torch.cat(means, 1)))
