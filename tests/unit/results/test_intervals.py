import numpy as np
import pytest

from lacewing.engine.calibration import CALIBRATION_BINS, bin_of, calibration_error
from lacewing.results import intervals
from lacewing.results.intervals import (
    ZERO_RECALL,
    bootstrap,
    calibration_interval,
    mean_interval,
    wilson,
)


def test_wilson_known_values():
    # 8 of 10 and 0 of 10, worked by hand from the formula with z = 1.959964.
    found = wilson(np.array([8, 0, 10]), np.array([10, 10, 10]))
    expected = [[0.490162, 0.943318], [0.0, 0.277533], [0.722467, 1.0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_wilson_without_trials_says_nothing():
    np.testing.assert_array_equal(wilson(np.array([0]), np.array([0])), [[0.0, 1.0]])


def test_bootstrap_of_accuracy_is_as_wide_as_the_binomial():
    confusion = np.array([[400, 100], [100, 400]])
    low, high = bootstrap(confusion).accuracy
    spread = 1.96 * (0.8 * 0.2 / 1000) ** 0.5
    assert low == pytest.approx(0.8 - spread, abs=0.004)
    assert high == pytest.approx(0.8 + spread, abs=0.004)


def test_bootstrap_of_means_over_classes_agrees_with_drawing_the_images():
    confusion = np.array([[30, 6, 0], [4, 15, 1], [0, 3, 6]])
    found = bootstrap(confusion)
    truth, predicted = (np.repeat(axis.ravel(), confusion.ravel()) for axis in np.indices((3, 3)))
    random = np.random.default_rng(5)
    drawn = [by_hand(confusion)]
    for _ in range(3000):
        rows = random.integers(0, len(truth), len(truth))
        cells = np.zeros((3, 3))
        np.add.at(cells, (truth[rows], predicted[rows]), 1)
        drawn.append(by_hand(cells))
    for name in drawn[0]:
        own, *rest = (one[name] for one in drawn)
        expected = np.quantile(np.array(rest) - np.mean(rest) + own, [0.025, 0.975])
        np.testing.assert_allclose(getattr(found, name), expected, atol=0.015, err_msg=name)


def by_hand(cells: np.ndarray) -> dict[str, float]:
    present = cells.sum(1) > 0
    support, named = cells.sum(1)[present], cells.sum(0)[present]
    right = cells.diagonal()[present]
    recall, f1 = right / support, 2 * right / (support + named)
    return {
        "accuracy": right.sum() / cells.sum(),
        "precision": (right / np.maximum(named, 1)).mean(),
        "recall": recall.mean(),
        "f1": f1.mean(),
        "weighted_f1": (f1 * support).sum() / cells.sum(),
        "geometric_mean": np.exp(np.log(np.maximum(recall, ZERO_RECALL)).mean()),
    }


def test_bootstrap_has_its_seed():
    confusion = np.array([[30, 6], [4, 15]])
    assert bootstrap(confusion, 3) == bootstrap(confusion, 3)
    assert bootstrap(confusion, 3) != bootstrap(confusion, 4)


@pytest.mark.parametrize(
    ("confusion", "expected"),
    [([[20, 0], [0, 20]], (0.912, 1.0)), ([[0, 20], [20, 0]], (0.0, 0.088))],
)
@pytest.mark.parametrize("name", ["accuracy", "f1", "precision", "recall", "geometric_mean"])
def test_a_perfect_score_is_not_certain_nor_is_one_of_nothing(confusion, expected, name):
    found = getattr(bootstrap(np.array(confusion)), name)
    assert found == pytest.approx(expected, abs=0.001)


def test_an_interval_holds_its_figure_where_resamples_lose_many_rare_classes():
    """A hundred classes of three images: a resample misses some that are found once."""
    confusion = np.diag(np.ones(100, np.int64))
    confusion[:, 0] += 2
    found, figures = bootstrap(confusion), by_hand(confusion)
    for name, figure in figures.items():
        low, high = getattr(found, name)
        assert low < figure < high, name


def test_the_mean_s_interval_is_the_normal_one_of_many_images():
    values = np.random.default_rng(0).exponential(2.0, 5000)
    low, high = mean_interval(values)
    half = 1.96 * values.std() / 5000**0.5
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.008)


def test_many_images_are_drawn_in_groups_with_the_same_outcome(monkeypatch):
    random = np.random.default_rng(1)
    values, parts = random.normal(size=1500), random.integers(0, 4, 1500)
    grouped, places = intervals.drawn_sums(values, parts, seed=0)
    assert grouped.shape[1] <= 1000 + 4
    by_part = intervals.sum_by(grouped, places, 4)
    np.testing.assert_allclose(by_part[0], np.bincount(parts, weights=values))
    monkeypatch.setattr(intervals, "MOST_GROUPS", 10_000)
    single, places = intervals.drawn_sums(values, parts, seed=0)
    assert single.shape[1] == 1500
    spread = intervals.sum_by(single, places, 4)[1:].std(axis=0)
    np.testing.assert_allclose(by_part[1:].std(axis=0), spread, rtol=0.1)


def test_a_calibration_error_stays_inside_its_interval_and_narrows_with_the_images():
    random = np.random.default_rng(2)
    widths = []
    for images in (100, 4000):
        confidence = random.uniform(0.5, 1.0, images).astype(np.float32)
        correct = random.uniform(size=images) < confidence
        gaps = correct - confidence.astype(np.float64)
        low, high = calibration_interval(gaps, bin_of(confidence), CALIBRATION_BINS)
        assert 0 <= low < calibration_error(confidence, correct) < high
        assert (low, high) == calibration_interval(gaps, bin_of(confidence), CALIBRATION_BINS)
        widths.append(high - low)
    assert widths[1] < widths[0] / 3
