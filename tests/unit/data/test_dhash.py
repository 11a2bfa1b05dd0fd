"""Near-identical images: the hash, what is near, and the groups of it."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lacewing.data import dhash
from lacewing.data.dhash import (
    bit_count,
    difference_hash,
    equal_groups,
    near_identical_groups,
)


def test_equal_contents_share_their_smallest_row():
    assert equal_groups(["c", "a", "b", "a", "c", "a"]).tolist() == [0, 1, 2, 1, 0, 1]
    assert equal_groups([]).tolist() == []


def test_flat_images_are_not_taken_for_twins():
    groups = near_identical_groups(
        ["a", "b", "b"], np.zeros(3, np.uint64), np.full(3, 8), np.full(3, 8)
    )
    assert groups.tolist() == [0, 1, 1]


@pytest.mark.parametrize(("bits", "together"), [(0, True), (3, True), (4, False)])
def test_distance_of_near_identical_images(bits, together):
    base = 0x0F1E2D3C4B5A6978
    other = base ^ sum(1 << position for position in (0, 16, 33, 50)[:bits])
    groups = near_identical_groups(
        ["a", "b"], np.array([base, other], np.uint64), np.array([60, 60]), np.array([40, 40])
    )
    assert (groups[0] == groups[1]) == together


@pytest.mark.parametrize(
    ("width", "height", "together"), [(60, 40, True), (119, 80, True), (200, 133, False),
                                      (60, 60, False)],
)  # fmt: skip
def test_size_of_near_identical_images(width, height, together):
    hashes = np.full(2, 0x0F1E2D3C4B5A6978, np.uint64)
    groups = near_identical_groups(
        ["a", "b"], hashes, np.array([60, width]), np.array([40, height])
    )
    assert (groups[0] == groups[1]) == together


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.data())
def test_groups_are_those_of_comparing_each_with_each(bases, data):
    flips = data.draw(st.lists(st.lists(st.integers(0, 63), max_size=4), max_size=10))
    hashes = list(bases)
    for position, bits in enumerate(flips):
        value = bases[position % len(bases)]
        for bit in bits:
            value ^= 1 << bit
        hashes.append(value)
    array = np.array(hashes, np.uint64)
    count = len(hashes)
    groups = near_identical_groups(
        [str(row) for row in range(count)], array, np.full(count, 9), np.full(count, 9)
    )
    assert groups.tolist() == _slow_groups(hashes)


def _slow_groups(hashes: list[int]) -> list[int]:
    groups = list(range(len(hashes)))
    telling = [4 <= value.bit_count() <= 60 for value in hashes]
    for a in range(len(hashes)):
        for b in range(a):
            alike = (hashes[a] ^ hashes[b]).bit_count() <= 3 and telling[a] and telling[b]
            if alike and groups[a] != groups[b]:
                low, high = sorted((groups[a], groups[b]))
                groups = [low if group == high else group for group in groups]
    return groups


@pytest.mark.parametrize("small", [1, 2, 7, 64])
@pytest.mark.parametrize("chunk", [None, 0x1234])
def test_small_and_large_buckets_give_the_same_groups(monkeypatch, small, chunk):
    monkeypatch.setattr(dhash, "SMALL_BUCKET", small)
    monkeypatch.setattr(dhash, "LARGE_BUCKET", small)
    draw = np.random.default_rng(small)
    hashes = draw.integers(0, 2**64, 20, np.uint64, endpoint=False)[draw.integers(0, 20, 150)]
    for _ in range(3):  # a chain of twins of twins
        hashes ^= np.uint64(1) << draw.integers(0, 64, 150).astype(np.uint64)
    if chunk is not None:  # one bucket of all, whose rows are seldom alike
        hashes = hashes & ~np.uint64(0xFFFF) | np.uint64(chunk)
    sides = np.full(150, 9)
    groups = near_identical_groups([str(row) for row in range(150)], hashes, sides, sides)
    assert groups.tolist() == _slow_groups(hashes.tolist())


def test_small_buckets_are_not_looked_at_one_by_one(monkeypatch):
    monkeypatch.setattr(dhash, "_join_each_with_each", None)
    hashes = np.random.default_rng(0).integers(0, 2**64, 3000, np.uint64, endpoint=False)
    hashes[7] = hashes[2999] ^ np.uint64(0b101)
    sides = np.full(3000, 9)
    groups = near_identical_groups([str(row) for row in range(3000)], hashes, sides, sides)
    assert np.flatnonzero(groups != np.arange(3000)).tolist() == [2999]
    assert groups[2999] == 7


ON_A_PLAIN_BORDER = 0x00007E7E7E7E0000
"""Bits of hashes that the picture's border leaves: all others are 0."""


@pytest.mark.parametrize("mask", [2**64 - 1, 0xFFFFFFFFFFFF0000, ON_A_PLAIN_BORDER, 0x7E7E0000])
@pytest.mark.parametrize("seed", range(3))
def test_large_buckets_are_divided_into_the_same_groups(monkeypatch, mask, seed):
    monkeypatch.setattr(dhash, "SMALL_BUCKET", 4)
    monkeypatch.setattr(dhash, "LARGE_BUCKET", 8)
    draw = np.random.default_rng(seed)
    hashes = draw.integers(0, 2**64, 60, np.uint64, endpoint=False)[draw.integers(0, 60, 240)]
    for _ in range(3):  # at most three bits from those they were drawn from
        hashes ^= np.uint64(1) << draw.integers(0, 64, 240).astype(np.uint64)
    hashes &= np.uint64(mask)
    sides = np.full(240, 9)
    groups = near_identical_groups([str(row) for row in range(240)], hashes, sides, sides)
    expected = _slow_groups(hashes.tolist())
    assert groups.tolist() == expected
    assert 1 < len(set(expected)) < 240


@pytest.mark.parametrize("mask", [0xFFFFFFFFFFFF0000, ON_A_PLAIN_BORDER])
def test_photos_with_a_plain_border_are_not_compared_each_with_each(monkeypatch, mask):
    compared = []

    def count(values):
        compared.append(values.size)
        return bit_count(values)

    monkeypatch.setattr(dhash, "bit_count", count)
    hashes = np.random.default_rng(0).integers(0, 2**64, 20_000, np.uint64, endpoint=False)
    hashes &= np.uint64(mask)
    sides = np.full(20_000, 9)
    near_identical_groups(list(map(str, range(20_000))), hashes, sides, sides)
    assert sum(compared) < 20_000**2 / 10


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_bit_count(values):
    counted = bit_count(np.array(values, np.uint64))
    assert counted.tolist() == [value.bit_count() for value in values]


def test_a_scaled_and_compressed_copy_has_nearly_the_same_hash(tmp_path):
    smooth = np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(smooth).resize((320, 240), Image.Resampling.BICUBIC)
    image.resize((200, 150)).save(tmp_path / "copy.jpg", quality=70)
    distance = difference_hash(image) ^ difference_hash(Image.open(tmp_path / "copy.jpg"))
    assert distance.bit_count() <= 3
    assert (difference_hash(image) ^ difference_hash(image.rotate(180))).bit_count() > 15


def test_thousands_of_frames_of_one_scene_are_joined_in_little_memory():
    base, sides, positions = 0x0F1E2D3C4B5A6978, 50, 50
    hashes = np.array([base ^ (1 << bit) for bit in range(positions)], np.uint64).repeat(sides)
    lengths = np.tile(np.arange(100, 100 + sides), positions)
    hashes = np.append(hashes, np.uint64(base ^ (2**64 - 1)))
    lengths = np.append(lengths, 100)
    tracemalloc.start()
    groups = near_identical_groups(list(map(str, range(len(hashes)))), hashes, lengths, lengths)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert groups.tolist() == [0] * 2500 + [2500]
    assert peak < 250e6  # its 6 million pairs would take some 600 MB


def test_groups_do_not_depend_on_how_many_are_compared_at_once(monkeypatch):
    random = np.random.default_rng(0)
    hashes = np.uint64(0x0F1E2D3C4B5A6978) ^ (
        np.uint64(1) << random.integers(0, 64, (60, 2), np.uint64)
    ).sum(axis=1, dtype=np.uint64)
    sizes = random.integers(100, 250, 60)
    names = list(map(str, range(60)))
    whole = near_identical_groups(names, hashes, sizes, sizes)
    assert 1 < len(set(whole.tolist())) < 60
    monkeypatch.setattr(dhash, "PAIRS_AT_ONCE", 7)
    assert near_identical_groups(names, hashes, sizes, sizes).tolist() == whole.tolist()
