import numpy as np
import pytest

from lacewing.results.intervals import bootstrap, wilson


def test_wilson_known_values():
    # 8 of 10 and 0 of 10, worked by hand from the formula with z = 1.959964.
    found = wilson(np.array([8, 0, 10]), np.array([10, 10, 10]))
    expected = [[0.490162, 0.943318], [0.0, 0.277533], [0.722467, 1.0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_wilson_without_trials_says_nothing():
    np.testing.assert_array_equal(wilson(np.array([0]), np.array([0])), [[0.0, 1.0]])


def test_bootstrap_of_accuracy_is_as_wide_as_the_binomial():
    confusion = np.array([[400, 100], [100, 400]])
    (low, high), _ = bootstrap(confusion)
    spread = 1.96 * (0.8 * 0.2 / 1000) ** 0.5
    assert low == pytest.approx(0.8 - spread, abs=0.004)
    assert high == pytest.approx(0.8 + spread, abs=0.004)


def test_bootstrap_of_f1_agrees_with_drawing_the_images():
    confusion = np.array([[30, 6, 0], [4, 15, 1], [0, 3, 6]])
    _, (low, high) = bootstrap(confusion)
    truth, predicted = (np.repeat(axis.ravel(), confusion.ravel()) for axis in np.indices((3, 3)))
    random = np.random.default_rng(5)
    drawn = []
    for _ in range(3000):
        rows = random.integers(0, len(truth), len(truth))
        cells = np.zeros((3, 3))
        np.add.at(cells, (truth[rows], predicted[rows]), 1)
        present = cells.sum(1) > 0
        f1 = 2 * cells.diagonal() / np.maximum(cells.sum(0) + cells.sum(1), 1)
        drawn.append(f1[present].mean())
    np.testing.assert_allclose([low, high], np.quantile(drawn, [0.025, 0.975]), atol=0.012)


def test_bootstrap_has_its_seed():
    confusion = np.array([[30, 6], [4, 15]])
    assert bootstrap(confusion, 3) == bootstrap(confusion, 3)
    assert bootstrap(confusion, 3) != bootstrap(confusion, 4)


@pytest.mark.parametrize(
    ("confusion", "expected"),
    [([[20, 0], [0, 20]], (0.912, 1.0)), ([[0, 20], [20, 0]], (0.0, 0.088))],
)
def test_a_perfect_score_is_not_certain(confusion, expected):
    accuracy, _ = bootstrap(np.array(confusion))
    assert accuracy == pytest.approx(expected, abs=0.001)
