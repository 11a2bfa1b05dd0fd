"""Resampling: exact where it can be, bilinear elsewhere, and blind to the padding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from lacewing.data.resample import Table, resample
from lacewing.data.resample.places import by_samples
from lacewing.data.resample.table import tabulate


def noise(count, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def whole(canvas, affine, size):
    count, height, width, _ = canvas.shape
    affine = np.broadcast_to(np.array(affine, np.float64), (count, 2, 3))
    return resample(canvas, affine, np.full(count, height), np.full(count, width), size)


def as_float(canvas):
    return canvas.permute(0, 3, 1, 2) / 255


def by_grid_sample(canvas, affine, size):
    """The judge: torch's own bilinear sampling of one map."""
    _, height, width, _ = canvas.shape
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    places = np.stack([column, row, np.ones_like(row)], axis=-1) @ np.array(affine).T
    grid = (2 * places + 1) / (width, height) - 1
    grid = torch.from_numpy(grid).float().repeat(len(canvas), 1, 1, 1)
    images = as_float(canvas)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def test_identity_is_exact():
    canvas = noise(3, 21, 21)
    assert torch.equal(whole(canvas, [[1, 0, 0], [0, 1, 0]], 21), as_float(canvas))


def test_shift_is_exact():
    canvas = noise(2, 20, 30)
    out = whole(canvas, [[1, 0, 7], [0, 1, 3]], 16)
    assert torch.equal(out, as_float(canvas)[:, :, 3:19, 7:23])


def test_mirror_is_exact():
    canvas = noise(2, 16, 16)
    assert torch.equal(whole(canvas, [[-1, 0, 15], [0, 1, 0]], 16), as_float(canvas).flip(3))


def test_quarter_turn_is_exact():
    canvas = noise(2, 16, 16)
    turned = whole(canvas, [[0, -1, 15], [1, 0, 0]], 16)
    assert torch.equal(turned, as_float(canvas).rot90(-1, (2, 3)).flip(2, 3))


def test_halves_between_two_pixels():
    canvas = torch.tensor([[[[10] * 3, [20] * 3], [[50] * 3, [100] * 3]]], dtype=torch.uint8)
    out = whole(canvas, [[0, 0, 0.5], [0, 0, 0.5]], 1)
    assert torch.equal(out, torch.full((1, 3, 1, 1), 45 / 255))


def test_beyond_the_border_its_pixels_go_on():
    canvas = noise(1, 8, 8)
    out = whole(canvas, [[1, 0, -100], [0, 1, -100]], 8)
    assert torch.equal(out, as_float(canvas)[:, :, :1, :1].expand(-1, -1, 8, 8))


def test_an_image_of_one_pixel():
    canvas = noise(1, 1, 1)
    assert torch.equal(
        whole(canvas, [[1, 0, 0], [0, 1, 0]], 4), as_float(canvas).expand(1, 3, 4, 4)
    )


def test_channels_do_not_mix():
    canvas = torch.zeros((8, 8, 8, 3), dtype=torch.uint8)
    for i in range(8):
        canvas[i] = torch.tensor([255 * (i & 1), 255 * (i >> 1 & 1), 255 * (i >> 2)])
    out = whole(canvas, [[0.9, 0.1, 0.3], [-0.1, 0.8, 1.1]], 8)
    assert torch.equal(out, as_float(canvas))


@pytest.mark.parametrize("degrees", [0, 10, -33, 170])
@pytest.mark.parametrize("scale", [0.3, 0.8, 1.2])
def test_agrees_with_grid_sample(degrees, scale):
    # smooth, so that rounding positions to 1/256 pixel shows as little
    canvas = functional.avg_pool2d(noise(2, 48, 60).permute(0, 3, 1, 2).float(), 5)
    canvas = canvas.permute(0, 2, 3, 1).round().to(torch.uint8)
    cos, sin = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    affine = [[cos, -sin, 4.3 + 5 * sin], [sin, cos, 3.9 - 5 * sin]]
    difference = whole(canvas, affine, 9) - by_grid_sample(canvas, affine, 9)
    assert difference.abs().max() < 1.5 / 255


def test_padding_never_shows():
    images = noise(2, 24, 24)
    affine = np.broadcast_to([[1.6, -0.2, -3], [0.2, 0.9, 2.5]], (2, 2, 3))
    heights, widths = np.array([20, 9]), np.array([11, 24])
    results = []
    for filler in (0, 255):
        canvas = torch.full_like(images, filler)
        for i, (height, width) in enumerate(zip(heights, widths, strict=True)):
            canvas[i, :height, :width] = images[i, :height, :width]
        results.append(resample(canvas, affine, heights, widths, 24))
    assert torch.equal(*results)


def test_the_canvas_may_be_larger():
    images = noise(2, 12, 14)
    larger = functional.pad(images, (0, 0, 0, 9, 0, 5), value=77)
    affine = np.broadcast_to([[0.7, 0.1, 1.3], [-0.1, 0.8, 0.6]], (2, 2, 3))
    sizes = np.array([12, 12]), np.array([14, 14])
    assert torch.equal(resample(images, affine, *sizes, 8), resample(larger, affine, *sizes, 8))


def test_spacing_decides_the_samples():
    maps = np.array(
        [
            [[1.25, 0, 0], [0, 1.25, 0]],
            [[1.26, 0, 0], [0, 1, 0]],
            [[0, 2.6, 0], [1, 0, 0]],
            [[99, 0, 0], [0, 99, 0]],
        ]
    )
    groups = {samples: rows.tolist() for samples, rows in by_samples(maps).items()}
    assert groups == {(1, 1): [0], (1, 2): [1], (3, 1): [2], (8, 8): [3]}


@pytest.mark.parametrize("times", [2, 3, 4])
def test_shrinking_averages_instead_of_aliasing(times):
    canvas = torch.zeros((1, 16 * times, 16 * times, 3), dtype=torch.uint8)
    canvas[:, ::2] = 255  # lines one pixel wide: sampled singly they would give black or white
    shift = (times - 1) / 2
    out = whole(canvas, [[times, 0, shift], [0, times, shift]], 16)
    assert (out - 0.5).abs().max() <= (0 if times % 2 == 0 else 0.5 / times + 1e-6)


def test_shrinking_by_two_is_the_mean_of_four():
    canvas = noise(2, 16, 16)
    out = whole(canvas, [[2, 0, 0.5], [0, 2, 0.5]], 8)
    assert torch.allclose(out, functional.avg_pool2d(as_float(canvas), 2), atol=1e-6)


def random_maps(count, seed):
    """Turns, mirrors, shears, shrinking and far shifts."""
    random = np.random.default_rng(seed)
    linear = random.normal(size=(count, 2, 2)) * random.choice([0.3, 1, 3], size=(count, 1, 1))
    shift = random.normal(size=(count, 2, 1)) * random.choice([1, 20, 1e4], size=(count, 1, 1))
    return np.concatenate([linear, shift], axis=2)


@given(
    height=st.integers(1, 70), width=st.integers(1, 70), size=st.integers(1, 20), seed=st.integers()
)
@settings(max_examples=60, deadline=None)
def test_both_ways_give_the_same_bits(height, width, size, seed):
    """What a CPU does, and what other devices do."""
    seed %= 2**32
    canvas, affine = noise(5, height, width, seed), random_maps(5, seed)
    random = np.random.default_rng(seed)
    sizes = random.integers(1, height + 1, 5), random.integers(1, width + 1, 5)
    by_grid = resample(canvas, affine, *sizes, size)
    assert torch.equal(by_grid, resample(tabulate(canvas), affine, *sizes, size))


@pytest.mark.parametrize("side", [2**k + d for k in (1, 4, 9) for d in (-1, 0, 1)])
def test_both_ways_agree_at_every_pixel_of_a_side(side):
    canvas = noise(1, 2, side)
    affine = np.array([[[1 + 1 / 256, 0, -0.5], [0, 0.01, 0]]])
    sizes = np.array([2]), np.array([side])
    by_grid = resample(canvas, affine, *sizes, side)
    assert torch.equal(by_grid, resample(tabulate(canvas), affine, *sizes, side))


def test_a_canvas_too_long_for_a_grid_is_read_from_a_table():
    canvas = noise(1, 1, 2**14)
    out = whole(canvas, [[1, 0, 2**14 - 5], [0, 1, 0]], 5)
    assert torch.equal(out[0, :, 0], as_float(canvas)[0, :, 0, -5:])


def test_the_table_ends_with_neighbours_that_weigh_nothing():
    table = tabulate(torch.tensor([[[[1, 2, 3], [255, 254, 253]]]], dtype=torch.uint8))
    assert table.flat.tolist() == [1, 2, 3, 255, 254, 253] + 9 * [0]


def test_a_table_of_any_images_gives_their_pixels():
    """Bytes, as on a device, images of several sizes one after the other, in another order."""
    sizes = [(9, 14), (20, 11), (12, 12)]
    images = [noise(1, *size, seed=i)[0] for i, size in enumerate(sizes)]
    heights, widths = np.array(sizes).T
    flat = torch.cat([image.flatten() for image in images] + [torch.zeros(60, dtype=torch.uint8)])
    lengths = 3 * heights * widths
    table = Table(flat, np.cumsum(lengths) - lengths, widths)
    canvas = torch.zeros((3, 20, 14, 3), dtype=torch.uint8)
    for place, image in zip(canvas, images, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    affine = np.broadcast_to([[1.6, -0.2, -3], [0.2, 0.9, 2.5]], (3, 2, 3))
    order = np.array([2, 0, 1])
    assert torch.equal(
        resample(table.of(order), affine, heights[order], widths[order], 24),
        resample(canvas, affine, heights, widths, 24)[order],
    )


def test_every_weight_is_exact():
    canvas = noise(1, 3, 3)
    pixels = canvas[0].permute(2, 0, 1).double()
    for right, below in ((1, 255), (127, 3), (255, 255)):
        out = whole(canvas, [[1, 0, right / 256], [0, 1, below / 256]], 2).double()[0]
        x, y = right / 256, below / 256
        upper = pixels[:, :2, :2] * (1 - x) + pixels[:, :2, 1:] * x
        lower = pixels[:, 1:, :2] * (1 - x) + pixels[:, 1:, 1:] * x
        assert torch.equal(out.float(), ((upper * (1 - y) + lower * y).float() / 255))
