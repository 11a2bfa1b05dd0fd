"""The heat map lies where the network looked."""

import numpy as np
import pytest
import torch
from torch import nn

from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.models.mirrored import Mirrored
from lacewing.results.explain import RAMP, heat_map, overlay


class Spots(nn.Module):
    """Scores of red and green spots: a convolution, then the mean over space."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(4)
        self.act = nn.ReLU()

    def forward(self, images):
        # channels red - blue and green - blue, at places of 4 x 4 pixels
        maps = self.act(self.pool(images[:, :2] - images[:, 2:]))
        return 5 * maps.flatten(2).mean(2)


def spots():
    """A red spot at the upper left and a green one at the lower right, on black."""
    image = torch.zeros(1, 3, 32, 32)
    image[0, 0, 4:8, 4:8] = 1
    image[0, 1, 24:28, 20:24] = 1
    return image


@pytest.mark.parametrize(("label", "place"), [(0, (5.5, 5.5)), (1, (25.5, 21.5))])
def test_heat_lies_on_what_speaks_for_the_class(label, place):
    heat = heat_map(Spots(), spots(), label)
    assert heat.shape == (32, 32)
    assert heat.dtype == np.float32
    assert heat.min() == 0
    assert heat.max() == 1
    centre = (heat[..., None] * np.stack(np.mgrid[:32, :32], -1)).sum((0, 1)) / heat.sum()
    assert centre == pytest.approx(place, abs=0.01)


def test_the_best_class_is_explained_unless_another_is_named():
    image = spots()
    image[0, 1] *= 2
    assert np.array_equal(heat_map(Spots(), image), heat_map(Spots(), image, 1))
    assert not np.array_equal(heat_map(Spots(), image), heat_map(Spots(), image, 0))


class RedAtTheLeft(nn.Module):
    """Sees red at the left only, and green everywhere."""

    def forward(self, images):
        seen = images * torch.tensor([1.5, 0.8, 1.0])[:, None, None]
        hidden = torch.ones(1, 3, 32, 32)
        hidden[:, 0, :, 16:] = 0
        return Spots()(seen * hidden)


def test_a_mirrored_network_is_explained_on_the_image_as_it_is():
    network, image = RedAtTheLeft(), spots()
    mirrored = Mirrored(network)
    assert np.array_equal(heat_map(mirrored, image, 0), heat_map(network, image, 0))
    # alone it says red; the mirror image, whose red is at the right, makes the answer green
    assert (int(network(image).argmax(1)), int(mirrored(image).argmax(1))) == (0, 1)
    assert np.array_equal(heat_map(mirrored, image), heat_map(network, image, 1))


def test_where_nothing_speaks_for_a_class_all_is_cold():
    image = spots()
    image[0, 0] = 0
    assert not heat_map(Spots(), image, 0).any()


class Tokens(nn.Module):
    """A class token that reads the places' red, as the last block of a transformer does."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(4)
        self.inner = nn.LayerNorm(3, elementwise_affine=False)
        self.last = nn.LayerNorm(3, elementwise_affine=False)

    def forward(self, images):
        places = self.inner(self.pool(images).flatten(2).transpose(1, 2))
        first = places[..., :1].square().mean(1, keepdim=True).expand(-1, 1, 3)
        after = self.last(torch.cat([first * torch.tensor([1.0, 2.0, 4.0]), places], 1))
        return after[:, 0, :2] + first[:, 0, :2]


def test_behind_a_class_token_an_earlier_map_is_taken():
    heat = heat_map(Tokens(), spots(), 0)
    assert heat[5, 5] == 1
    assert heat[15, 15] < 0.2


class ChannelsLast(nn.Module):
    """The same spots, with feature maps [N, h, h, C] as in a Swin transformer."""

    def __init__(self):
        super().__init__()
        self.spots = Spots()
        self.norm = nn.Hardtanh(-10, 10)

    def forward(self, images):
        maps = self.spots.act(self.spots.pool(images[:, :2] - images[:, 2:]))
        return 5 * self.norm(maps.permute(0, 2, 3, 1)).flatten(1, 2).mean(1)


def test_channels_may_stand_last():
    assert heat_map(ChannelsLast(), spots(), 1) == pytest.approx(heat_map(Spots(), spots(), 1))


def test_the_network_is_left_as_it_was():
    model = Spots()
    image = spots()
    heat_map(model, image)
    assert not any(module._forward_hooks for module in model.modules())
    assert not image.requires_grad
    assert torch.equal(image, spots())


def test_weights_get_no_gradient():
    model = build_model(find_model("test_resnet"), 3, 0.0, None, 32).eval()
    heat_map(model, torch.rand(1, 3, 32, 32))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["squeezenet", "mobilenet", "fpn", "test_convnext", "test_vit"])
def test_networks_of_every_family_have_a_map(name):
    info = find_model(name)
    torch.manual_seed(1)
    size = 64 if not info.fixed_size else info.native_size
    model = build_model(info, 4, 0.0, None, size).eval()
    # of several classes of a random network, some have places that speak for them
    heats = (heat_map(model, torch.rand(1, 3, size, size), label) for label in range(4))
    heat = next(heat for heat in heats if heat.any())
    assert heat.shape == (size, size)
    assert heat.max() == 1
    assert heat.std() > 0


def test_the_overlay_keeps_what_is_cold_and_colours_what_is_hot():
    square = np.full((2, 2, 3), 200, np.uint8)
    drawn = overlay(square, np.array([[0, 0.5], [0.9, 1]], np.float32))
    assert drawn.dtype == np.uint8
    assert drawn[0, 0].tolist() == [200, 200, 200]
    assert np.abs(drawn[1, 1] - RAMP[-1]).max() < np.abs(drawn[0, 1] - RAMP[-1]).max()


def test_the_colours_grow_lighter():
    assert (np.diff(RAMP @ [0.299, 0.587, 0.114]) > 0).all()
