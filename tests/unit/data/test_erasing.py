"""Random erasing: as often, as large and where torchvision's is."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from lacewing.data.chance import ERASING, uniforms
from lacewing.data.erasing import COLUMNS, covered, draw_boxes, erase

COUNT = 4000


def boxes(probability=1.0, size=64):
    return draw_boxes(uniforms(0, 0, np.arange(COUNT), COLUMNS, ERASING), probability, size)


def test_rectangles_are_distributed_as_torchvisions(ks_distance):
    torch.manual_seed(0)
    theirs = v2.RandomErasing(p=1.0)
    image = [torch.empty(3, 64, 64)]
    make = getattr(theirs, "make_params", None) or theirs._get_params  # before torchvision 0.20
    found = [make(image) for _ in range(COUNT)]
    expected = np.array([[p["i"], p["j"], p["h"], p["w"]] for p in found], float)
    top, left, bottom, right = boxes().T
    ours = np.stack([top, left, bottom - top, right - left])
    limit = 1.95 * np.sqrt(2 / COUNT)  # the statistic's quantile at 0.1 %
    for mine, other in zip(ours, expected.T, strict=True):
        assert ks_distance(mine, other) < limit
    assert ks_distance(ours[2] * ours[3], expected[:, 2] * expected[:, 3]) < limit


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_it_is_as_frequent_as_asked(probability):
    share = boxes(probability).any(1).mean()
    assert abs(share - probability) < 5 * np.sqrt(probability * (1 - probability) / COUNT)


def test_rectangles_stay_inside():
    top, left, bottom, right = boxes(size=16).T
    assert (top >= 0).all() and (left >= 0).all() and (bottom <= 16).all() and (right <= 16).all()
    assert (bottom > top).all() and (right > left).all()


def test_what_is_covered_is_erased_and_nothing_else():
    images = torch.ones(3, 3, 8, 8)
    out = erase(images, np.array([[1, 2, 4, 7], [0, 0, 0, 0], [0, 0, 8, 8]]))
    expected = torch.ones(3, 3, 8, 8)
    expected[0, :, 1:4, 2:7] = 0
    expected[2] = 0
    assert torch.equal(out, expected)


def test_covered_has_a_plane_per_image():
    plane = covered(np.array([[0, 1, 2, 3]]), 4, torch.device("cpu"))
    assert plane.shape == (1, 1, 4, 4) and plane.sum() == 4
