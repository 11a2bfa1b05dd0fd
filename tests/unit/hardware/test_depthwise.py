"""Depthwise convolutions amid bf16: the slow ones in fp32, all others as they are."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from lacewing.hardware import depthwise
from lacewing.hardware.cpu import CpuBackend
from lacewing.hardware.depthwise import is_slow


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "slow"),
    [(3, 1, 8, False), (3, 2, 8, True), (5, 1, 8, True), (7, 2, 8, True), (1, 1, 8, False),
     (3, 2, 1, False), (5, 1, 4, False)],
)  # fmt: skip
def test_which_are_slow(kernel, stride, groups, slow):
    weight = torch.ones(8, 8 // groups, kernel, kernel, requires_grad=True)
    images = torch.ones(1, 8, 9, 9)
    assert is_slow(images, weight, None, stride, 0, 1, groups) is slow
    assert is_slow(images, weight, stride=(stride, stride), groups=groups) is slow


def test_without_a_gradient_none_is_slow():
    weight, images = torch.ones(8, 1, 5, 5, requires_grad=True), torch.ones(1, 8, 9, 9)
    with torch.no_grad():
        assert not is_slow(images, weight, groups=8)
    assert not is_slow(images, weight.detach(), groups=8)
    assert is_slow(images.requires_grad_(), weight.detach(), groups=8)


def test_the_slow_ones_are_computed_in_full_and_returned_in_bf16():
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 5, 2, 2, groups=8)
    images = torch.randn(2, 8, 16, 16)
    with CpuBackend().autocast("bf16"):
        found = layer(images)
    assert found.dtype == torch.bfloat16
    # weights and images were not rounded before: only the result is
    assert torch.equal(found, layer(images).bfloat16())
    found.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_what_is_not_slow_is_autocast_as_ever(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("computed in full")

    monkeypatch.setattr(depthwise, "in_full", refuse)
    images = torch.randn(2, 8, 16, 16)
    for layer in (nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Conv2d(8, 4, 3, 2)):
        with CpuBackend().autocast("bf16"):
            assert layer(images).dtype == torch.bfloat16
    slow = nn.Conv2d(8, 8, 5, 2, groups=8)
    assert slow(images).dtype == torch.float32
    with CpuBackend().autocast("fp32"):
        assert slow(images).dtype == torch.float32
    with CpuBackend().autocast("bf16"), torch.no_grad():
        assert slow(images).dtype == torch.bfloat16
    with pytest.raises(AssertionError, match="in full"), CpuBackend().autocast("bf16"):
        slow(images)


def test_it_ends_with_the_context():
    layer, images = nn.Conv2d(4, 4, 3, 2, groups=4), torch.randn(1, 4, 8, 8)
    with CpuBackend().autocast("bf16"):
        pass
    assert torch.equal(layer(images), conv2d(images, layer.weight, layer.bias, 2, groups=4))
