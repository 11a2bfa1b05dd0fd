"""The head on frozen features: a convex problem has one answer, and others know it too."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from lacewing.engine.heads import Head, fit_path, minimise, read_head, standard_of, write_head

CLASSES = 3


def cloud(count=90, width=5, seed=0):
    """Three overlapping groups whose features have very different means and spreads."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    values = random.normal(size=(count, width)) + 1.5 * np.eye(CLASSES, width)[labels]
    values = values * np.array([1, 10, 0.1, 1, 3])[:width] + np.array([0, 50, -2, 1, 0])[:width]
    return torch.from_numpy(values).float(), torch.from_numpy(labels)


@pytest.mark.parametrize("strength", [1.0, 0.1, 0.01])
def test_it_is_the_solution_that_scikit_learn_finds(strength):
    features, labels = cloud()
    *_, head = fit_path(features, labels, CLASSES, (strength,))
    inputs = standard_of(features)(features)
    judge = LogisticRegression(C=1 / (strength * len(labels)), tol=1e-8, max_iter=1000)
    judge.fit(inputs.double().numpy(), labels.numpy())
    expected = judge.predict_proba(inputs.numpy())
    found = head(features).softmax(1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_path_gives_the_same_heads_as_fits_on_their_own():
    features, labels = cloud()
    strengths = (1.0, 0.1, 0.01)
    path = list(fit_path(features, labels, CLASSES, strengths))
    for strength, head in zip(strengths, path, strict=True):
        (alone,) = fit_path(features, labels, CLASSES, (strength,))
        torch.testing.assert_close(
            head(features).softmax(1), alone(features).softmax(1), atol=2e-3, rtol=0
        )


def test_a_path_is_fitted_only_as_far_as_it_is_asked_for(monkeypatch):
    fitted = []
    monkeypatch.setattr(
        "lacewing.engine.heads.minimise",
        lambda inputs, labels, start, strength, *late: fitted.append(strength) or start,
    )
    path = fit_path(*cloud(), CLASSES, (1.0, 0.1, 0.01))
    next(path), next(path)
    assert fitted == [1.0, 0.1]


def test_a_late_fit_ends_with_a_head_that_tells_classes_apart():
    features, labels = cloud()
    (head,) = fit_path(features, labels, CLASSES, (1.0, 0.1), lambda: True)
    (whole,) = fit_path(features, labels, CLASSES, (1.0,))
    torch.testing.assert_close(
        head(features).softmax(1), whole(features).softmax(1), atol=0.02, rtol=0
    )


def test_a_fit_that_is_cut_short_keeps_the_best_weights_it_has_seen():
    features, labels = cloud()
    inputs = standard_of(features)(features)
    start = torch.zeros(CLASSES, 6)

    def loss(weights):
        logits = inputs @ weights[:, :-1].T + weights[:, -1]
        return float(nn.functional.cross_entropy(logits, labels))

    losses = []
    for evaluations in range(8):
        calls = iter(range(100))
        late = lambda calls=calls, most=evaluations: next(calls) >= most  # noqa: E731
        losses.append(loss(minimise(inputs, labels, start, 0.0, late)))
    assert losses[0] == loss(start)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.8 * losses[0]


def test_a_constant_feature_does_no_harm():
    features, labels = cloud()
    features[:, 3] = 7.0
    *_, head = fit_path(features, labels, CLASSES, (0.1,))
    assert torch.isfinite(head.weight).all()
    assert torch.isfinite(head(features)).all()


def test_the_same_features_give_the_same_head():
    first, second = (next(fit_path(*cloud(), CLASSES, (0.03,))) for _ in range(2))
    assert torch.equal(first.weight, second.weight)


@pytest.mark.parametrize("layer", [nn.Linear(5, CLASSES), nn.Conv2d(5, CLASSES, 1)])
def test_a_head_stands_in_a_networks_last_layer(layer):
    head = Head(torch.randn(CLASSES, 5), torch.randn(CLASSES))
    write_head(layer, head)
    back = read_head(layer)
    assert torch.equal(back.weight, head.weight)
    assert torch.equal(back.bias, head.bias)


def test_scaling_and_shifting_do_so_to_the_logits():
    features, _ = cloud()
    head = Head(torch.randn(CLASSES, 5), torch.randn(CLASSES))
    shift = torch.tensor([0.5, 0.0, -1.0])
    changed = head.shifted(shift).scaled(2.0)
    torch.testing.assert_close(changed(features), 2 * (head(features) + shift))
