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
