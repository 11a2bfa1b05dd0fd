"""Augmentation: what is drawn, by whom it depends, and what it does to pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as judge

from lacewing.data.augment import AugmentConfig, Parameters, apply, crops, draw, jitter, vary
from lacewing.data.chance import uniforms
from lacewing.data.resample import batch

PLAIN = AugmentConfig(rotation=0, flip=False, color_jitter=0, min_crop=1)


def noise(count, height, width):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def drawn(config, samples, height=40, width=50, size=32, epoch=0):
    samples = np.asarray(samples)
    return draw(
        config,
        seed=0,
        epoch=epoch,
        samples=samples,
        heights=np.full(len(samples), height),
        widths=np.full(len(samples), width),
        size=size,
    )


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_a_sample_is_the_same_in_any_batch(parts):
    canvas, samples = noise(21, 40, 50), np.arange(100, 121)
    whole = apply(canvas, drawn(AugmentConfig(), samples), 32)
    pieces = [
        apply(canvas[i : i + parts], drawn(AugmentConfig(), samples[i : i + parts]), 32)
        for i in range(0, 21, parts)
    ]
    assert torch.equal(torch.cat(pieces), whole)


@pytest.mark.parametrize("pixels", [1, 32 * 32 * 3])
def test_the_images_of_a_pass_change_nothing(monkeypatch, pixels):
    canvas, varied = noise(21, 90, 50), replace(AugmentConfig(), trivial=True, rotation=40)
    parameters = drawn(varied, range(21), 90, 50)
    expected = vary(canvas, parameters, 32)
    monkeypatch.setattr(batch, "CACHE_PIXELS", pixels)
    assert torch.equal(apply(canvas, parameters, 32), expected)


def test_threads_change_nothing():
    canvas, parameters = noise(3, 300, 250), drawn(AugmentConfig(), range(3), 300, 250, 201)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(apply(canvas, parameters, 201))
            found.append(apply(canvas[:1], drawn(AugmentConfig(), [0], 300, 250, 201), 201))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, found[0]) for one in found[::2])
    assert all(torch.equal(one, found[1]) for one in found[1::2])


def test_epochs_differ():
    first, second = (drawn(AugmentConfig(), range(50), epoch=epoch) for epoch in (0, 1))
    assert (first.affine != second.affine).any((1, 2)).all()
    assert (first.jitter != second.jitter).all()


@pytest.mark.parametrize(("height", "width"), [(146, 146), (146, 208), (301, 100)])
def test_crops_are_distributed_as_torchvisions(height, width, ks_distance):
    count = 4000
    u = uniforms(0, 0, np.arange(count), 27)
    centre, boxes = crops(u, np.full(count, height), np.full(count, width), 0.3)
    boxes = boxes.round()  # as theirs are
    torch.manual_seed(0)
    theirs = v2.RandomResizedCrop(8, scale=(0.3, 1.0))
    image = [torch.empty(3, height, width)]
    make = getattr(theirs, "make_params", None) or theirs._get_params  # before torchvision 0.20
    found = [make(image) for _ in range(count)]
    expected = np.array([[p["width"], p["height"], p["left"], p["top"]] for p in found], float)
    # 1.95 is the statistic's quantile at 0.1 %; the rest is for whole pixels
    limit = 1.95 * np.sqrt(2 / count) + 0.01
    assert ks_distance(boxes.prod(1), expected[:, 0] * expected[:, 1]) < limit
    assert ks_distance(boxes[:, 0] / boxes[:, 1], expected[:, 0] / expected[:, 1]) < limit
    for axis in range(2):
        middle = expected[:, 2 + axis] + expected[:, axis] / 2
        # in half pixels, as theirs are
        assert ks_distance((2 * centre[:, axis]).round(), 2 * middle) < limit


def test_crops_stay_inside_and_keep_their_bounds():
    u = uniforms(0, 0, np.arange(2000), 27)
    centre, boxes = crops(u, np.full(2000, 60), np.full(2000, 80), 0.4)
    assert (centre - boxes / 2 >= -1e-9).all()
    assert (centre + boxes / 2 <= np.array([80, 60]) + 1e-9).all()
    assert (boxes.prod(1) >= 0.4 * 60 * 80 - 1e-6).all()
    aspect = boxes[:, 0] / boxes[:, 1]
    assert aspect.min() >= 3 / 4 - 1e-9 and aspect.max() <= 4 / 3 + 1e-9


def test_an_image_too_long_for_any_crop_is_cropped_centrally():
    u = uniforms(0, 0, np.arange(5), 27)
    centre, boxes = crops(u, np.full(5, 10), np.full(5, 1000), 0.5)
    assert (centre == (500, 5)).all()
    assert np.allclose(boxes, (40 / 3, 10))


def test_rotation_and_flip_are_drawn_evenly(ks_distance):
    affine = drawn(AugmentConfig(rotation=20), range(4000), height=50, width=50).affine
    # a flip makes the map's determinant negative; rows carry no flip, so they tell the angle
    flipped = np.linalg.det(affine[:, :, :2]) < 0
    assert abs(flipped.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)
    angle = np.degrees(np.arctan2(-affine[:, 0, 1], affine[:, 1, 1]))
    assert ks_distance(angle, np.linspace(-20, 20, 4000)) < 1.95 * np.sqrt(1 / 4000)


def test_jitter_is_drawn_evenly(ks_distance):
    factors = drawn(AugmentConfig(color_jitter=0.3), range(4000)).jitter
    assert factors.dtype == np.float32
    for column in factors.T:
        assert ks_distance(column, np.linspace(0.7, 1.3, 4000)) < 1.95 * np.sqrt(1 / 4000)


def test_nothing_asked_for_changes_nothing():
    canvas = noise(2, 32, 32)
    out = apply(canvas, drawn(PLAIN, [0, 1], 32, 32), 32)
    assert torch.equal(out, canvas.permute(0, 3, 1, 2) / 255)


def test_a_flip_mirrors_exactly():
    canvas = noise(16, 32, 32)
    straight = apply(canvas, drawn(PLAIN, range(16), 32, 32), 32)
    out = apply(canvas, drawn(replace(PLAIN, flip=True), range(16), 32, 32), 32)
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(out, straight, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(out, straight, strict=True)]
    assert any(mirrored) and any(same)
    assert all(a != b for a, b in zip(mirrored, same, strict=True))


def test_disabled_is_the_central_square():
    canvas = noise(3, 32, 50)
    off = AugmentConfig(enabled=False)
    out = apply(canvas, drawn(off, [0, 1, 2], 32, 50), 32)
    assert torch.equal(out, canvas.permute(0, 3, 1, 2)[..., 9:41] / 255)


def test_disabled_resizes_like_the_mean_of_blocks():
    canvas = noise(2, 64, 64)
    out = apply(canvas, drawn(AugmentConfig(enabled=False), [0, 1], 64, 64), 32)
    blocks = torch.nn.functional.avg_pool2d(canvas.permute(0, 3, 1, 2) / 255, 2)
    assert torch.allclose(out, blocks, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "adjust"),
    [(0, judge.adjust_brightness), (1, judge.adjust_contrast), (2, judge.adjust_saturation)],
)
@pytest.mark.parametrize("factor", [0.4, 1.0, 1.7])
def test_jitter_is_torchvisions(column, adjust, factor):
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    factors = torch.ones(3, 3)
    factors[:, column] = factor
    expected = adjust(images, factor)
    assert torch.allclose(jitter(images.clone(), factors), expected, atol=1e-5)


def test_jitter_goes_by_brightness_contrast_saturation():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    factors = torch.tensor([[1.3, 0.8, 1.2], [0.7, 1.4, 0.6]])
    out = jitter(images.clone(), factors)
    for image, expected, row in zip(out, images, factors.tolist(), strict=True):
        expected = judge.adjust_brightness(expected, row[0])
        expected = judge.adjust_contrast(expected, row[1])
        expected = judge.adjust_saturation(expected, row[2])
        assert torch.allclose(image, expected, atol=1e-5)


def test_each_image_is_jittered_by_its_own_factors():
    canvas = noise(2, 8, 8)
    plain = drawn(PLAIN, [0, 1], 8, 8, 8)
    factors = np.array([[1, 1, 1], [0.5, 1, 1]], np.float32)
    both = apply(canvas, Parameters(plain.affine, factors, plain.heights, plain.widths), 8)
    expected = canvas.permute(0, 3, 1, 2) / 255
    assert torch.allclose(both[0], expected[0], atol=1e-6)
    assert torch.allclose(both[1], expected[1] / 2, atol=1e-6)


def test_output_stays_in_range():
    images = apply(noise(8, 40, 50), drawn(AugmentConfig(color_jitter=1), range(8)), 32)
    assert images.dtype == torch.float32 and images.shape == (8, 3, 32, 32)
    assert images.min() >= 0 and images.max() <= 1
