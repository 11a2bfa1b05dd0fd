"""Draws by address: fixed, independent of company, and uniform."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacewing.data.chance import order, step_seed, uniforms


def splitmix64(state):
    """The next word of SplitMix64 in Python's integers, from the paper's figure 19."""
    mask = 2**64 - 1
    z = (state + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_uniforms_are_splitmix64_over_the_address():
    state = splitmix64(splitmix64(splitmix64(5) + 2) + 9)
    words = [splitmix64((state + k * 0x9E3779B97F4A7C15) % 2**64) for k in range(3)]
    expected = [(word >> 11) / 2**53 for word in words]
    assert uniforms(5, 2, np.array([9]), 3)[0].tolist() == expected


def test_splitmix64_gives_its_published_first_word():
    assert splitmix64(0) == 0xE220A8397B1DCDAF


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.integers(0, 2**40))
def test_a_draw_depends_on_its_address_alone(seed, epoch, sample):
    alone = uniforms(seed, epoch, np.array([sample]), 4)[0]
    among = uniforms(seed, epoch, np.array([3, sample, 8, 1]), 9)[1, :4]
    assert (alone == among).all()


@pytest.mark.parametrize("address", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_every_part_of_the_address_counts(address):
    seed, epoch, sample = address
    base = uniforms(0, 0, np.array([0]), 8)
    assert not np.isin(uniforms(seed, epoch, np.array([sample]), 8), base).any()


def test_uniforms_are_uniform_and_uncorrelated():
    u = uniforms(3, 1, np.arange(20_000), 4)
    assert u.shape == (20_000, 4) and u.dtype == np.float64
    assert u.min() >= 0 and u.max() < 1
    counts = np.stack([np.histogram(column, 20, (0, 1))[0] for column in u.T])
    assert (abs(counts - 1000) < 5 * np.sqrt(1000)).all()
    neighbours = np.corrcoef(np.concatenate([u.T, np.roll(u, 1, axis=0).T]))
    assert abs(neighbours - np.eye(8)).max() < 5 / np.sqrt(20_000)


def test_order_is_a_permutation_that_changes_with_epoch_and_seed():
    first = order(7, 0, 1000)
    assert first.dtype == np.int64
    assert (np.sort(first) == np.arange(1000)).all()
    assert (first == order(7, 0, 1000)).all()
    for other in (order(7, 1, 1000), order(8, 0, 1000), order(0, 7, 1000)):
        assert (first == other).sum() < 10


def test_order_is_fixed_for_good():
    assert order(0, 0, 8).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]


def test_order_puts_every_sample_everywhere():
    places = np.stack([np.argsort(order(1, epoch, 10)) for epoch in range(2000)])
    counts = np.apply_along_axis(np.bincount, 0, places, minlength=10)
    assert (abs(counts - 200) < 5 * np.sqrt(200)).all()


@pytest.mark.parametrize("count", [0, 1])
def test_order_of_next_to_nothing(count):
    assert order(0, 0, count).tolist() == list(range(count))


def test_step_seeds_differ_and_fit_a_generator():
    seeds = {step_seed(seed, step) for seed in range(5) for step in range(1000)}
    assert len(seeds) == 5000
    assert all(isinstance(seed, int) and 0 <= seed < 2**63 for seed in seeds)
