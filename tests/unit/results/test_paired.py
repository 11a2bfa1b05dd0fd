"""Paired comparisons, against values worked out by other means."""

from math import comb

import numpy as np
import pytest
from sklearn.metrics import f1_score

from lacewing.results.paired import compare_answers, holm, mcnemar_mid_p


def test_mid_p_is_the_exact_value_less_half_of_either_end():
    exact = 2 * sum(comb(12, k) for k in range(3)) / 2**12
    assert mcnemar_mid_p(10, 2) == pytest.approx(exact - comb(12, 2) / 2**12)
    assert mcnemar_mid_p(2, 10) == mcnemar_mid_p(10, 2)


@pytest.mark.parametrize("pair", [(0, 0), (7, 7)])
def test_equal_counts_show_nothing(pair):
    assert mcnemar_mid_p(*pair) == 1.0


def test_many_images_are_counted_exactly():
    # the normal approximation of 1,000 against 1,100: z = 2.182
    assert mcnemar_mid_p(1000, 1100) == pytest.approx(0.0291, abs=0.0002)


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.04: times 3, 2 and 1, and never below the one before
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    labels = random.integers(0, 4, 300)
    first = np.where(random.random(300) < 0.7, labels, random.integers(0, 4, 300))
    second = np.where(random.random(300) < 0.5, labels, first)
    return labels, first, second


def test_differences_are_second_minus_first(answers):
    labels, first, second = answers
    found = compare_answers(labels, first, second, 4)
    assert found.accuracy == pytest.approx((second == labels).mean() - (first == labels).mean())
    f1 = [f1_score(labels, given, average="macro") for given in (first, second)]
    assert found.f1 == pytest.approx(f1[1] - f1[0])
    assert found.only_second - found.only_first == round(300 * found.accuracy)
    back = compare_answers(labels, second, first, 4)
    assert (back.accuracy, back.f1) == pytest.approx((-found.accuracy, -found.f1))


def macro_f1(labels: np.ndarray, given: np.ndarray) -> float:
    """As scikit-learn has it, which takes a millisecond and more for it."""
    right = np.bincount(labels[labels == given], minlength=4)
    said, are = np.bincount(given, minlength=4), np.bincount(labels, minlength=4)
    return float((2 * right / (said + are)).mean())


def test_intervals_agree_with_drawing_the_images(answers):
    labels, first, second = answers
    random = np.random.default_rng(9)
    drawn = []
    for number in range(2000):
        rows = random.integers(0, 300, 300)
        one, other = (macro_f1(labels[rows], given[rows]) for given in (first, second))
        if number < 20:
            assert other == pytest.approx(f1_score(labels[rows], second[rows], average="macro"))
        drawn.append(other - one)
    found = compare_answers(labels, first, second, 4)
    np.testing.assert_allclose(found.f1_interval, np.quantile(drawn, [0.025, 0.975]), atol=0.01)


def test_pairing_is_what_makes_a_small_difference_certain():
    labels = np.zeros(1000, np.int64)
    first = (np.arange(1000) < 400).astype(np.int64)
    second = (np.arange(1000) < 380).astype(np.int64)
    low, high = compare_answers(labels, first, second, 2).accuracy_interval
    # the second is right wherever the first is: unpaired intervals of 3 points would overlap
    assert 0.01 < low < 0.02 < high < 0.03
