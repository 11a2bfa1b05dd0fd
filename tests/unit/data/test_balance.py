"""How often an epoch shows the images of each class."""

import numpy as np
import pytest

from lacewing.data.balance import balanced_order, distinct
from lacewing.data.chance import order

LABELS = np.array([0] * 80 + [1] * 15 + [2] * 5)


def shown(balance, epoch=0, seed=0):
    return np.bincount(LABELS[balanced_order(seed, epoch, LABELS, balance)], minlength=3)


def test_without_balance_it_is_the_plain_order():
    assert (balanced_order(3, 4, LABELS, 0.0) == order(3, 4, 100)).all()


@pytest.mark.parametrize("balance", [0.3, 0.5, 1.0])
def test_classes_get_their_shares(balance):
    counts = np.array([80, 15, 5.0])
    expected = counts ** (1 - balance) / (counts ** (1 - balance)).sum() * 100
    mean = np.mean([shown(balance, epoch) for epoch in range(200)], axis=0)
    np.testing.assert_allclose(mean, expected, atol=0.3)


def test_an_image_is_shown_as_often_as_its_share_says_rounded():
    times = np.bincount(balanced_order(0, 1, LABELS, 1.0), minlength=100)
    assert times.sum() == 100
    assert set(times[LABELS == 0]) <= {0, 1}
    assert set(times[LABELS == 2]) <= {6, 7}


def test_no_image_is_left_out_for_good():
    seen = np.unique(np.concatenate([balanced_order(0, e, LABELS, 1.0) for e in range(30)]))
    assert len(seen) == 100


def test_seed_and_epoch_are_all_it_depends_on():
    first = balanced_order(1, 2, LABELS, 0.5)
    assert (first == balanced_order(1, 2, LABELS, 0.5)).all()
    assert (first != balanced_order(1, 3, LABELS, 0.5)).any()
    assert (first != balanced_order(2, 2, LABELS, 0.5)).any()


def test_an_images_copies_have_numbers_of_their_own():
    assert distinct(np.array([2, 0, 2, 2, 1, 0]), 3).tolist() == [2, 0, 5, 8, 1, 3]
    rows = balanced_order(0, 0, LABELS, 1.0)
    samples = distinct(rows, len(LABELS))
    assert len(set(samples.tolist())) == len(samples)
    assert np.array_equal(samples % len(LABELS), rows)


def test_rows_that_are_shown_once_are_not_sorted(monkeypatch):
    rows = order(0, 0, 50)
    monkeypatch.setattr(np, "argsort", None)
    assert distinct(rows, 50) is rows
    assert distinct(rows[:0], 50).tolist() == []
