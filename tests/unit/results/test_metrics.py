import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as judge

from lacewing.engine.calibration import calibration_error
from lacewing.errors import DataError, TrainingError
from lacewing.results.metrics import figures, geometric_mean, rank_of_truth


def names(count):
    return [f"class {label}" for label in range(count)]


def certain(labels, predicted, classes):
    """Probabilities of 0.9 for what was predicted."""
    scores = np.full((len(labels), classes), 0.1 / (classes - 1), np.float32)
    scores[np.arange(len(labels)), predicted] = 0.9
    return figures(scores, np.array(labels), names(classes))


@settings(max_examples=40, deadline=None)
@given(images=st.integers(1, 60), classes=st.integers(2, 12), seed=st.integers(0, 10**6))
def test_agrees_with_scikit_learn(images, classes, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, random.integers(1, classes + 1), images)  # some are absent
    probabilities = random.dirichlet(np.full(classes, 0.4), images).astype(np.float32)
    found = figures(probabilities, labels, names(classes))
    predicted, every = probabilities.argmax(1), np.arange(classes)

    assert found.images == images
    assert found.top1 == pytest.approx(judge.accuracy_score(labels, predicted))
    np.testing.assert_array_equal(
        found.confusion, judge.confusion_matrix(labels, predicted, labels=every)
    )
    precision, recall, f1, support = judge.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    rows = [(one.precision, one.recall, one.f1, one.support) for one in found.classes]
    np.testing.assert_allclose(rows, np.stack([precision, recall, f1, support], 1), atol=1e-12)
    present = np.unique(labels)
    macro = judge.precision_recall_fscore_support(
        labels, predicted, labels=present, average="macro", zero_division=0
    )[:3]
    assert (found.precision, found.recall, found.f1) == pytest.approx(macro)
    weighted = judge.f1_score(labels, predicted, average="weighted", zero_division=0)
    assert found.weighted_f1 == pytest.approx(weighted)


@pytest.mark.parametrize("classes", [2, 4, 12])
def test_ranks_and_loss_agree_with_scikit_learn(scores, classes):
    probabilities, labels = scores(300, classes)
    found = figures(probabilities, labels, names(classes))
    every = np.arange(classes)
    for k, value in ((3, found.top3), (5, found.top5)):
        expected = 1.0
        if k < classes:
            expected = judge.top_k_accuracy_score(labels, probabilities, k=k, labels=every)
        assert value == pytest.approx(expected)
    exact = probabilities / probabilities.sum(1, keepdims=True, dtype=np.float64)
    assert found.loss == pytest.approx(judge.log_loss(labels, exact, labels=every), rel=1e-6)


def test_two_classes_by_hand():
    found = certain([0, 0, 0, 1, 1], [0, 0, 1, 1, 0], 2)
    assert (found.top1, found.top3, found.top5) == (0.6, 1.0, 1.0)
    assert found.recall == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.geometric_mean == pytest.approx((2 / 3 * 1 / 2) ** 0.5)
    assert found.confusion.tolist() == [[2, 1], [1, 1]]
    assert found.calibration_error == pytest.approx(0.3)


def test_absent_classes_do_not_count_in_the_means():
    found = certain([0, 0, 1, 1], [0, 0, 1, 2], 4)
    assert found.recall == pytest.approx(0.75)
    assert found.classes[3].support == 0
    assert found.classes[3].recall_interval == (0.0, 1.0)


def test_a_missed_class_pulls_the_geometric_mean_down():
    assert geometric_mean([1.0, 0.0]) == pytest.approx(0.001**0.5)


def test_equal_probabilities_count_for_the_first_class_only():
    even = np.full((3, 3), 1 / 3, np.float32)
    labels = np.array([0, 1, 2])
    np.testing.assert_array_equal(rank_of_truth(even, labels), [0, 1, 2])
    found = figures(even, labels, names(3))
    assert found.top1 == pytest.approx(1 / 3) == np.trace(found.confusion) / 3


def test_calibration_by_hand():
    # Bins (0.53, 0.6] and (0.93, 1]: gaps of 2 x |0.5 - 0.55| and 2 x |1 - 0.95|, over 4 images.
    error = calibration_error(np.array([0.55, 0.55, 0.95, 0.95]), np.array([1, 0, 1, 1]))
    assert error == pytest.approx((2 * 0.05 + 2 * 0.05) / 4)


def test_a_probability_of_zero_leaves_the_loss_finite():
    scores = np.array([[1.0, 0.0]], np.float32)
    assert figures(scores, np.array([1]), names(2)).loss == pytest.approx(15.942385)


def test_intervals_hold_the_figures(scores):
    probabilities, labels = scores(500, 9)
    found = figures(probabilities, labels, names(9))
    plain = found.as_dict()
    held = [name.removesuffix("_interval") for name in plain if name.endswith("_interval")]
    assert set(held) == {"top1", "top3", "top5", "loss", "precision", "recall", "f1",
                         "weighted_f1", "geometric_mean", "calibration_error"}  # fmt: skip
    for name in held:
        low, high = plain[f"{name}_interval"]
        assert low < plain[name] < high, name
    for one in found.classes:
        assert one.recall_interval[0] <= one.recall <= one.recall_interval[1]


def test_what_can_not_be_missed_is_certain(scores):
    probabilities, labels = scores(60, 4)
    found = figures(probabilities, labels, names(4))
    assert found.top5_interval == (1.0, 1.0)
    assert found.top3_interval[0] < found.top3
    all_found = certain([0, 1, 2, 3], [0, 1, 2, 3], 4)
    assert (all_found.top3, all_found.top3_interval[1]) == pytest.approx((1.0, 1.0))
    assert all_found.top3_interval[0] < 0.6


def test_as_dict_is_plain_json(scores):
    probabilities, labels = scores(50, 4)
    found = figures(probabilities, labels, names(4))
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain == found.as_dict()
    assert plain["confusion"] == found.confusion.tolist()
    assert plain["classes"][2]["name"] == "class 2"


def test_refuses_an_empty_split():
    with pytest.raises(DataError, match="the split is empty"):
        figures(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), names(3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_what_is_not_finite(value):
    scores = np.array([[0.5, 0.5], [value, 0.5]], np.float32)
    with pytest.raises(TrainingError, match="not finite for 1 of 2 images: train it again"):
        figures(scores, np.array([0, 1]), names(2))
