"""The loss against its formula."""

import pytest
import torch

from lacewing.engine.losses import make_loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])
LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_smoothing_spreads_the_target(smoothing):
    target = torch.full((2, 3), smoothing / 3)
    target[[0, 1], LABELS] += 1 - smoothing
    expected = -(target * LOGITS.log_softmax(1)).sum(1).mean()
    assert torch.allclose(make_loss(smoothing)(LOGITS, LABELS), expected)


def test_no_smoothing_is_the_default():
    assert torch.equal(make_loss()(LOGITS, LABELS), make_loss(0.0)(LOGITS, LABELS))


def test_the_focal_loss_is_its_formula():
    probability = LOGITS.softmax(1)[[0, 1], LABELS]
    expected = (-((1 - probability) ** 2) * probability.log()).mean()
    assert torch.allclose(make_loss(focal=2.0)(LOGITS, LABELS), expected)


def test_a_focal_loss_of_a_tiny_gamma_is_cross_entropy_with_shares_too():
    shares = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5]])
    for labels in (LABELS, shares):
        for smoothing in (0.0, 0.2):
            expected = make_loss(smoothing)(LOGITS, labels)
            found = make_loss(smoothing, focal=1e-9)(LOGITS, labels)
            torch.testing.assert_close(found, expected)


def test_the_logit_adjusted_loss_is_least_at_balanced_logits():
    shares = torch.tensor([0.9, 0.1])
    labels = torch.tensor([0] * 9 + [1])
    loss = make_loss(shift=shares.log())
    same = torch.zeros(10, 2, requires_grad=True)
    loss(same, labels).backward()
    assert same.grad.sum(0).abs().max() < 1e-6, "for a network that can't tell them apart"


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 2.0])
def test_the_focal_loss_has_a_slope_where_the_network_is_sure(gamma):
    logits = torch.tensor([[40.0, 0.0, 0.0], [-40.0, 0.0, 40.0]], requires_grad=True)
    make_loss(0.1, focal=gamma)(logits, LABELS).backward()
    assert logits.grad.isfinite().all()


def test_the_shift_is_not_sent_to_the_device_in_each_pass(monkeypatch):
    loss = make_loss(shift=torch.tensor([0.9, 0.05, 0.05]).log())
    monkeypatch.setattr(torch.Tensor, "to", None)
    assert loss(LOGITS, LABELS).isfinite()
