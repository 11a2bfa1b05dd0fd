"""Confidence and rare classes."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from lacewing.engine.calibration import (
    TEMPERATURES,
    calibration_error_of,
    choose_tau,
    fit_temperature,
    macro_f1,
    none_below,
    prior_shift,
)


def answers(count=4000, classes=4, seed=0):
    """Logits whose softmax is the truth: the labels are drawn from it."""
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(size=(count, classes)) * 2)
    chances = logits.softmax(1).numpy()
    labels = [random.choice(classes, p=row / row.sum()) for row in chances]
    return logits.float(), torch.tensor(labels)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_applied_is_found(temperature):
    logits, labels = answers()
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.1)


def test_overconfidence_is_mended():
    logits, labels = answers()
    bold = logits * 3
    mended = bold / fit_temperature(bold, labels)
    assert calibration_error_of(bold, labels) > 0.1
    assert calibration_error_of(mended, labels) < 0.03


def test_where_all_answers_are_right_the_temperature_goes_to_its_bound():
    logits, _ = answers(60)
    assert fit_temperature(logits, logits.argmax(1)) == pytest.approx(TEMPERATURES[0], rel=0.01)


def test_nineteen_of_twenty_right_answers_reach_the_threshold():
    random = np.random.default_rng(0)
    confidence = random.random(2000).astype(np.float32)
    correct = random.random(2000) < confidence
    threshold = none_below(confidence, correct)
    assert (confidence[correct] >= threshold).mean() == pytest.approx(0.95, abs=0.001)
    assert (confidence[~correct] < threshold).mean() > 0.2


def test_few_right_answers_give_no_threshold():
    confidence = np.linspace(0, 1, 80, dtype=np.float32)
    assert none_below(confidence, confidence > 0.5) is None
    assert none_below(confidence, confidence >= 0) is not None


def test_macro_f1_is_scikit_learns():
    logits, labels = answers(300)
    labels = labels.clamp(max=2)  # class 3 does not occur, but is answered
    expected = f1_score(labels, logits.argmax(1), average="macro", labels=[0, 1, 2])
    assert macro_f1(logits, labels) == pytest.approx(expected)


def test_the_shift_is_the_logarithm_of_the_shares():
    shift = prior_shift(np.array([90, 10, 0]), 2.0)
    expected = -2 * np.log([0.9, 0.1, 0.01])
    np.testing.assert_allclose(shift.numpy(), expected, rtol=1e-6)
    assert not prior_shift(np.array([90, 10]), 0.0).any()


def test_tau_undoes_the_prior_of_an_unbalanced_training_set():
    logits, labels = answers(2000, 3)
    counts = np.array([900, 90, 10])
    learnt = logits - prior_shift(counts, 1.0)  # a network that has learnt the shares too
    tau = choose_tau(learnt, labels, counts)
    assert 0.6 <= tau <= 1.4
    better = macro_f1(learnt + prior_shift(counts, tau), labels)
    assert better > macro_f1(learnt, labels) + 0.05


def test_without_gain_tau_is_zero():
    logits = torch.eye(3).repeat(5, 1) * 50
    assert choose_tau(logits, torch.arange(3).repeat(5), np.array([900, 90, 10])) == 0.0
