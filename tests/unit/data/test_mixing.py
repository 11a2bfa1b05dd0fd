"""Mixup and cutmix: shares, rectangles, and labels that follow the pixels."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from lacewing.data.chance import MIXING, uniforms
from lacewing.data.mixing import COLUMNS, Mixture, draw_mixture, mix, paste_boxes, symmetric_beta

COUNT = 4000


def drawn(mixup=0.0, cutmix=0.0, samples=COUNT, size=32, epoch=0):
    return draw_mixture(mixup, cutmix, seed=0, epoch=epoch, samples=np.arange(samples), size=size)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 4.0])
def test_shares_are_distributed_as_numpys_beta(alpha, ks_distance):
    expected = np.random.default_rng(0).beta(alpha, alpha, 100_000)
    ours = symmetric_beta((np.arange(100_000) + 0.5) / 100_000, alpha)
    assert ks_distance(ours, expected) < 1.95 / np.sqrt(100_000)


def test_a_beta_of_one_is_uniform_and_every_beta_is_monotone():
    u = np.linspace(0, 1, 1001)
    assert np.allclose(symmetric_beta(u, 1.0), u, atol=1e-6)
    for alpha in (0.01, 0.2, 30.0):
        values = symmetric_beta(u, alpha)
        assert (np.diff(values) >= 0).all() and values.min() >= 0 and values.max() <= 1
        assert np.allclose(values, 1 - values[::-1], atol=1e-9)


def test_rectangles_are_distributed_as_torchvisions(ks_distance):
    torch.manual_seed(0)
    theirs = v2.CutMix(num_classes=3, alpha=1.0)
    batch = [torch.empty(2, 3, 32, 32)]
    make = getattr(theirs, "make_params", None) or theirs._get_params  # before torchvision 0.20
    found = [make(batch) for _ in range(COUNT)]
    expected = np.array([[*p["box"], p["lam_adjusted"]] for p in found], float)
    ours = drawn(cutmix=1.0)
    limit = 1.95 * np.sqrt(2 / COUNT)
    for axis, other in ((1, 0), (0, 1), (3, 2), (2, 3)):
        assert ks_distance(ours.boxes[:, axis], expected[:, other]) < limit
    assert ks_distance(ours.shares, expected[:, 4]) < limit


def test_with_both_each_image_takes_one():
    both = drawn(mixup=0.4, cutmix=1.0)
    pasted = both.boxes.any(1)
    assert abs(pasted.mean() - 0.5) < 0.05
    assert np.array_equal(both.shares[~pasted][:100], drawn(mixup=0.4).shares[~pasted][:100])


def test_what_is_drawn_depends_on_the_sample_alone():
    assert np.array_equal(drawn(mixup=0.4).shares[:7], drawn(mixup=0.4, samples=7).shares)
    assert (drawn(mixup=0.4).shares != drawn(mixup=0.4, epoch=1).shares).mean() > 0.9


def test_mixup_blends_pixels_and_labels_alike():
    images, labels = torch.rand(3, 3, 4, 4), torch.tensor([0, 2, 1])
    shares = np.array([0.75, 1.0, 0.25], np.float32)
    mixed, targets = mix(images, labels, Mixture(shares, np.zeros((3, 4), np.int64)), 3)
    assert torch.allclose(mixed[0], 0.75 * images[0] + 0.25 * images[2])
    assert torch.equal(mixed[1], images[1])
    assert torch.allclose(mixed[2], 0.25 * images[2] + 0.75 * images[1])
    assert torch.allclose(targets, torch.tensor([[0.75, 0.25, 0], [0, 0, 1], [0, 0.25, 0.75]]))


def test_cutmix_pastes_pixels_and_counts_them():
    images, labels = torch.rand(2, 3, 4, 4), torch.tensor([0, 1])
    boxes = np.array([[0, 1, 2, 3], [0, 0, 4, 4]])
    mixed, targets = mix(images, labels, Mixture(np.array([0.75, 0], np.float32), boxes), 2)
    expected = images[0].clone()
    expected[:, 0:2, 1:3] = images[1][:, 0:2, 1:3]
    assert torch.equal(mixed[0], expected) and torch.equal(mixed[1], images[0])
    assert torch.equal(targets, torch.tensor([[0.75, 0.25], [1.0, 0.0]]))


def test_a_rectangles_share_of_the_label_is_its_area():
    mixture = drawn(cutmix=1.0, samples=200, size=10)
    height = mixture.boxes[:, 2] - mixture.boxes[:, 0]
    width = mixture.boxes[:, 3] - mixture.boxes[:, 1]
    assert np.allclose(mixture.shares, 1 - height * width / 100)
    u = uniforms(0, 0, np.arange(200), COLUMNS, MIXING)
    assert (paste_boxes(u, np.zeros(200), 10)[:, 2:] > 0).all()
