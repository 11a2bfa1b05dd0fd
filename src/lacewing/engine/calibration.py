"""Confidence that means what it says, and rare classes that get their due: after training.

Both change the last layer only, so whatever uses the network needs to know nothing of them.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

CALIBRATION_BINS = 15
KEPT_SHARE = 0.95
"""Of the right answers, those that `none_below` lets stand."""
LEAST_RIGHT = 50
"""Right answers from which such a share can be told."""
TEMPERATURES = (0.05, 20.0)
"""Bounds of the search: beyond them confidence is all or nothing."""


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """|accuracy - confidence| over equal bins of confidence, weighed by their images.

    Naeini et al., AAAI 2015; Guo et al., ICML 2017. Bins are those of `bin_of`.
    """
    gaps = np.bincount(bin_of(confidence), weights=correct - confidence.astype(np.float64))
    return float(np.abs(gaps).sum() / len(confidence))


def bin_of(confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence, int64 [n]; bins are open at the left: (0, 1/15], ..."""
    bins = np.ceil(confidence.astype(np.float64) * CALIBRATION_BINS).astype(np.int64) - 1
    return np.clip(bins, 0, CALIBRATION_BINS - 1)


def calibration_error_of(logits: Tensor, labels: Tensor) -> float:
    """The same of logits float32 [n, C] and labels int64 [n]."""
    confidence, answer = logits.softmax(1).max(1)
    return calibration_error(confidence.numpy(), (answer == labels).numpy())


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T for which softmax(logits / T) has the least cross-entropy (Guo et al. 2017).

    logits: float32 [n, C], labels: int64 [n], of images the network was not trained on. The
    loss is convex in 1 / T, so a golden-section search over log T finds it to 0.1 %. Where all
    answers are right it falls for ever: then the lower of TEMPERATURES.
    """
    scores = logits.double()

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(scores / np.exp(log_temperature), labels))

    low, high = (float(np.log(bound)) for bound in TEMPERATURES)
    ratio = (np.sqrt(5) - 1) / 2
    while high - low > 1e-3:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def none_below(confidence: np.ndarray, correct: np.ndarray) -> float | None:
    """The confidence below which an answer is better called "none of these"; None: too few.

    confidence: float32 [n], of the first answers after calibration, correct: bool [n], both of
    images the network was not trained on. It is the largest value that KEPT_SHARE of the right
    answers reach: the maximum softmax probability as a score (Hendrycks and Gimpel 2017,
    arXiv:1610.02136), its threshold set by the share of known images that stay.
    """
    right = confidence[correct]
    if len(right) < LEAST_RIGHT:
        return None
    return float(np.quantile(right, 1 - KEPT_SHARE, method="lower"))


def prior_shift(counts: np.ndarray, tau: float) -> Tensor:
    """What is added to each class's logit, float32 [C]: -tau log(share of the training images).

    Logit adjustment after training (Menon et al. 2021, arXiv:2007.07314, section 4.1). A class
    without training images counts as having one.
    """
    shares = np.maximum(counts, 1) / max(1, counts.sum())
    return torch.from_numpy(-tau * np.log(shares)).float()


def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """Mean F1 over the classes that occur, of logits [n, C] and labels int64 [n]."""
    classes = logits.shape[1]
    answers = logits.argmax(1)
    right = torch.bincount(labels[answers == labels], minlength=classes)
    support = torch.bincount(labels, minlength=classes)
    named = torch.bincount(answers, minlength=classes)
    f1 = 2 * right / (support + named).clamp(min=1)
    return float(f1[support > 0].double().mean())


def choose_tau(logits: Tensor, labels: Tensor, counts: np.ndarray) -> float:
    """The strength of `prior_shift` with the best macro F1 on images not trained on.

    Of equally good ones the smallest: 0 leaves the logits alone.
    """
    taus = [step / 10 for step in range(16)]
    return max(taus, key=lambda tau: (macro_f1(logits + prior_shift(counts, tau), labels), -tau))
