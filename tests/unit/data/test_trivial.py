"""TrivialAugment: what is drawn, and that each kind does what torchvision's does."""

import math

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as judge

from lacewing.data.augment import AugmentConfig, after, apply, draw
from lacewing.data.chance import TRIVIAL, uniforms
from lacewing.data.trivial import (
    BINS,
    COLUMNS,
    KINDS,
    Trivial,
    draw_trivial,
    jitters,
    retouch,
    warps,
)

SIZE = 64


def one(kind, strength):
    return Trivial(np.array([KINDS.index(kind)]), np.array([float(strength)]))


def many(count=20_000):
    return draw_trivial(uniforms(0, 0, np.arange(count), COLUMNS, TRIVIAL))


def bytes_like(count=4):
    generator = torch.Generator().manual_seed(3)
    # uneven on purpose: equalising and stretching have something to do
    values = (torch.rand(count, 3, SIZE, SIZE, generator=generator) ** 2 * 200 + 20).to(torch.uint8)
    values[0, 0] = 77
    return values


def smooth():
    """A picture that interpolation can't hurt, as canvas uint8 [1, S, S, 3]."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    waves = [torch.sin(x / 9 + k) * torch.cos(y / 7 - k) for k in range(3)]
    return ((torch.stack(waves, 2) + 1) * 127).round().to(torch.uint8)[None]


def test_kinds_strengths_and_directions_are_drawn_evenly():
    drawn = many()
    counts = np.bincount(drawn.kinds, minlength=len(KINDS))
    expected = len(drawn.kinds) / len(KINDS)
    assert (abs(counts - expected) < 5 * math.sqrt(expected)).all()
    shears = drawn.strengths[drawn.kinds == KINDS.index("shear_x")]
    assert abs((shears > 0).mean() - 0.5 * (BINS - 1) / BINS) < 5 * 0.5 / math.sqrt(len(shears))
    assert np.allclose(np.unique(abs(shears).round(9)), np.linspace(0, 0.99, BINS).round(9))
    bits = drawn.strengths[drawn.kinds == KINDS.index("posterize")]
    assert np.bincount(bits.astype(int)).tolist().count(0) == 2  # 2 to 8 bits
    solar = drawn.strengths[drawn.kinds == KINDS.index("solarize")]
    assert solar.min() == 0 and solar.max() == 1


@pytest.mark.parametrize(
    ("kind", "strength", "theirs"),
    [
        ("shear_x", 0.4, {"shear": [math.degrees(math.atan(0.4)), 0.0], "center": [0, 0]}),
        ("shear_x", -0.7, {"shear": [math.degrees(math.atan(-0.7)), 0.0], "center": [0, 0]}),
        ("shear_y", 0.3, {"shear": [0.0, math.degrees(math.atan(0.3))], "center": [0, 0]}),
        ("translate_x", 8 / SIZE, {"translate": [8, 0]}),
        ("translate_y", -5 / SIZE, {"translate": [0, -5]}),
        ("rotate", 30.0, {"angle": -30.0}),
        ("rotate", -135.0, {"angle": 135.0}),
    ],
)
def test_warps_are_torchvisions(kind, strength, theirs):
    canvas = smooth()
    options = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **theirs}
    inputs = torch.cat([canvas.permute(0, 3, 1, 2) / 255, torch.ones(1, 1, SIZE, SIZE)], 1)
    expected = judge.affine(inputs, interpolation=InterpolationMode.BILINEAR, **options)
    plain = AugmentConfig(rotation=0, flip=False, color_jitter=0, min_crop=1)
    sizes = {"heights": np.array([SIZE]), "widths": np.array([SIZE]), "size": SIZE}
    parameters = draw(plain, seed=0, epoch=0, samples=np.array([0]), **sizes)
    moved = after(parameters.affine, warps(one(kind, strength), SIZE))
    parameters.affine[:] = moved
    out = apply(canvas, parameters, SIZE)
    inside = expected[:, 3:] > 0.999  # theirs is black outside, ours goes on
    assert inside.float().mean() > 0.3
    assert ((out - expected[:, :3]) * inside).abs().max() < 0.02


@pytest.mark.parametrize("change", [-0.99, -0.3, 0.0, 0.66])
def test_sharpness_is_torchvisions(change):
    images = bytes_like().float() / 255
    expected = judge.adjust_sharpness(images, 1 + change)
    assert torch.allclose(
        retouch(images[:1].clone(), one("sharpness", change)), expected[:1], atol=1e-5
    )


@pytest.mark.parametrize("bits", [2, 5, 8])
def test_posterize_is_torchvisions(bits):
    images = bytes_like()[:1]
    out = retouch(images.float() / 255, one("posterize", bits))
    assert torch.equal((out * 255).round().to(torch.uint8), judge.posterize(images, bits))


@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.0])
def test_solarize_is_torchvisions(threshold):
    images = bytes_like()[:1].float() / 255
    assert torch.equal(
        retouch(images.clone(), one("solarize", threshold)), judge.solarize(images, threshold)
    )


def test_autocontrast_is_torchvisions():
    images = bytes_like()[:1].float() / 255  # one channel of it is flat
    out = retouch(images.clone(), one("autocontrast", 0))
    assert torch.allclose(out, judge.autocontrast(images), atol=1e-6)


def test_equalize_is_torchvisions():
    images = bytes_like()
    drawn = Trivial(np.full(4, KINDS.index("equalize")), np.zeros(4))
    out = retouch(images.float() / 255, drawn)
    assert torch.equal((out * 255).round().to(torch.uint8), judge.equalize(images))


@pytest.mark.parametrize(("kind", "column"), [("brightness", 0), ("contrast", 1), ("color", 2)])
def test_colour_kinds_are_factors_of_the_jitter(kind, column):
    expected = np.ones(3, np.float32)
    expected[column] = 0.3
    assert np.allclose(jitters(one(kind, -0.7))[0], expected)


def test_each_image_has_its_own_kind_in_any_batch():
    canvas = torch.cat([smooth()] * 30)
    config = AugmentConfig(trivial=True)

    def varied(rows):
        rows = np.asarray(rows)
        sizes = np.full(len(rows), SIZE)
        parameters = draw(
            config, seed=0, epoch=0, samples=rows, heights=sizes, widths=sizes, size=32
        )
        return apply(canvas[: len(rows)], parameters, 32)

    whole = varied(range(30))
    assert torch.equal(torch.cat([varied([row]) for row in range(30)]), whole)
    assert whole.min() >= 0 and whole.max() <= 1


def test_it_stands_in_the_place_of_rotation_and_jitter():
    sizes = np.full(500, SIZE)
    sizes = {"heights": sizes, "widths": sizes, "size": SIZE}
    drawn = draw(
        AugmentConfig(trivial=True, rotation=90, color_jitter=1), seed=0, epoch=0,
        samples=np.arange(500), **sizes,
    )  # fmt: skip
    still = drawn.trivial.kinds == KINDS.index("identity")
    assert still.any()
    assert (drawn.affine[still][:, 0, 1] == 0).all() and (drawn.jitter[still] == 1).all()
