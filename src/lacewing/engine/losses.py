"""The training loss: cross-entropy, and what long tails may add to it."""

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes logits float32 [N, classes] and labels, int64 [N] or each class's share, float32
[N, classes]; returns their mean loss, 0-dim."""


LEAST_WRONG = 1e-6
"""What remains to 1 of a probability that a float32 can't tell from it, a little rounded."""


def make_loss(
    label_smoothing: float = 0.0, focal: float = 0.0, shift: Tensor | None = None
) -> Loss:
    """Cross-entropy; label smoothing spreads that share of the target evenly over all classes.

    Label smoothing: Szegedy et al., "Rethinking the Inception architecture", 2016. `focal` is
    the gamma of `focal_loss`; `shift`, float32 [classes] on the device, is added to the logits
    first.
    """
    plain: Loss = partial(functional.cross_entropy, label_smoothing=label_smoothing)
    loss = partial(focal_loss, gamma=focal, label_smoothing=label_smoothing) if focal else plain
    return loss if shift is None else partial(shifted_loss, loss=loss, shift=shift)


def focal_loss(
    logits: Tensor, labels: Tensor, *, gamma: float, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy in which a class counts by (1 - its probability) to the power of gamma.

    Images that are right already weigh little (Lin et al. 2017, arXiv:1708.02002).
    """
    classes = logits.shape[1]
    target = functional.one_hot(labels, classes).to(logits) if labels.ndim == 1 else labels
    target = target * (1 - label_smoothing) + label_smoothing / classes
    scores = logits.log_softmax(1)
    # below a gamma of 1 the slope of the weight is infinite at 0
    wrong = (1 - scores.exp()).clamp(min=LEAST_WRONG)
    return -(target * wrong**gamma * scores).sum(1).mean()


def shifted_loss(logits: Tensor, labels: Tensor, *, loss: Loss, shift: Tensor) -> Tensor:
    """The loss of logits plus a shift per class.

    With tau log(share of the class) it is the logit-adjusted loss (Menon et al. 2021,
    arXiv:2007.07314, section 4.2): the network itself then answers as if classes were balanced.
    """
    return loss(logits + shift, labels)
