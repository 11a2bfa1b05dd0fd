import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacewing.results.seriation import order_by_confusion


@pytest.mark.parametrize("seed", range(5))
def test_confused_classes_stand_side_by_side(seed):
    shuffled = np.random.default_rng(seed).permutation(12)
    groups = np.arange(12) // 4
    blocks = 50 * np.eye(12, dtype=int) + 5 * (groups[:, None] == groups)
    order = order_by_confusion(blocks[np.ix_(shuffled, shuffled)])
    found = groups[shuffled[order]]
    assert np.count_nonzero(np.diff(found)) == 2


def test_a_chain_is_laid_out_along_the_chain():
    # Each class is confused with its neighbours in the chain 3 - 0 - 2 - 1, most at 0 - 2.
    confusion = np.diag([50, 50, 50, 50])
    confusion[0, 2], confusion[3, 0], confusion[2, 1] = 9, 6, 5
    assert order_by_confusion(confusion).tolist() in ([3, 0, 2, 1], [1, 2, 0, 3])


def test_without_confusions_the_order_stays():
    assert order_by_confusion(np.eye(5, dtype=int)).tolist() == [0, 1, 2, 3, 4]


@given(st.integers(1, 9), st.integers(0, 10**6))
def test_is_a_permutation(classes, seed):
    confusion = np.random.default_rng(seed).integers(0, 4, (classes, classes))
    assert sorted(order_by_confusion(confusion)) == list(range(classes))
