"""The training loss."""

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes logits float32 [N, classes] and labels, int64 [N] or each class's share, float32
[N, classes]; returns their mean loss, 0-dim."""


def make_loss(label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy; label smoothing spreads that share of the target evenly over all classes.

    Label smoothing: Szegedy et al., "Rethinking the Inception architecture", 2016.
    """
    return partial(functional.cross_entropy, label_smoothing=label_smoothing)
