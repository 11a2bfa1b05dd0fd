"""Images whose label is likely wrong: confident learning.

Northcutt, Jiang and Chuang 2021 (JAIR 70, arXiv:1911.00068): an image belongs to another class
with confidence if that class's probability reaches what it usually has on its own images.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Suspect:
    """One image that the network holds for another class than its label says."""

    row: int
    """Of the arrays that were given."""
    suggested: int
    """Position of the class it more likely shows."""
    own: float
    """Probability of its label."""
    other: float
    """Probability of the suggested class."""


def find_suspects(probabilities: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    """The likely label errors, the least doubtful first.

    probabilities: float32 [n, C], of images the network was not trained on, labels: int64 [n].
    A class is confidently meant where its probability reaches its mean over the images labelled
    so (the paper's threshold); of several such classes the most probable counts. They are
    ranked by the margin of the suggested class over the label (its "normalised margin").
    """
    images, classes = probabilities.shape
    own = probabilities[np.arange(images), labels]
    support = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=own, minlength=classes)
    # a class without an image here has no threshold, so nothing is suspected to be one of it
    usual = np.where(support > 0, sums / np.maximum(support, 1), np.inf)
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    is_suspect = (confident.max(axis=1) > 0) & (suggested != labels)
    found = [
        Suspect(
            row, int(suggested[row]), float(own[row]), float(probabilities[row, suggested[row]])
        )
        for row in np.flatnonzero(is_suspect).tolist()
    ]
    return sorted(found, key=lambda one: (one.own - one.other, one.row))
