"""Two networks judged on the same images: is one better, or was it luck?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lacewing.results.intervals import RESAMPLES, Interval, macro_f1, percentiles

AT_ONCE = 100
"""Resamples that are in memory together: of IP102 a hundred take some 20 MB."""


@dataclass(frozen=True)
class Paired:
    """How the second network differs from the first. Differences are second minus first."""

    only_first: int
    """Images that only the first named right; so is `only_second`."""
    only_second: int
    p_value: float
    """Two-sided, of equal accuracy: McNemar's exact test with the mid-p value."""
    accuracy: float
    accuracy_interval: Interval
    """95 %, over resamples of the images."""
    f1: float
    f1_interval: Interval


def compare_answers(
    labels: np.ndarray, first: np.ndarray, second: np.ndarray, classes: int, seed: int = 0
) -> Paired:
    """Compare two networks' answers int64 [n] on the same n images of classes `labels`.

    Every resample holds both answers of an image, so that what makes an image hard for both
    cancels out (the paired bootstrap, Efron 1979).
    """
    one, other = first == labels, second == labels
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    everything = np.ones((1, len(labels)), np.int64)
    accuracy, f1 = _resampled(labels, first, second, classes, seed)
    return Paired(
        only_first=only_first,
        only_second=only_second,
        p_value=mcnemar_mid_p(only_first, only_second),
        accuracy=float(other.mean() - one.mean()),
        accuracy_interval=percentiles(accuracy),
        f1=float(_f1_gain(everything, labels, first, second, classes)[0]),
        f1_interval=percentiles(f1),
    )


def mcnemar_mid_p(only_first: int, only_second: int) -> float:
    """The mid-p value of McNemar's exact test on images that one network alone named right.

    Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91 (2013): unlike the
    exact test it is not conservative, and unlike the asymptotic one it holds for few images.
    """
    images, fewer = only_first + only_second, min(only_first, only_second)
    ways, tail = 1, 0
    for count in range(fewer + 1):
        tail += ways
        at_fewer = ways
        ways = ways * (images - count) // (count + 1)
    return min(1.0, (2 * tail - at_fewer) / 2**images)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: of several comparisons, chance makes some look real (Holm 1979)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in enumerate(order):
        highest = max(highest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(1.0, highest)
    return adjusted


def _resampled(
    labels: np.ndarray, first: np.ndarray, second: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gains of accuracy and of macro F1 in each resample, float64 [RESAMPLES] each.

    Images with the same label and the same two answers are one cell, and a resample's counts of
    all cells are one draw from a multinomial distribution.
    """
    triples = np.stack([labels, first, second])
    (labels, first, second), counts = np.unique(triples, axis=1, return_counts=True)
    gains = (second == labels).astype(np.int64) - (first == labels)
    generator = np.random.default_rng(seed)
    accuracy, f1 = [], []
    for _ in range(RESAMPLES // AT_ONCE):
        draws = generator.multinomial(counts.sum(), counts / counts.sum(), AT_ONCE)
        accuracy.append(draws @ gains / counts.sum())
        f1.append(_f1_gain(draws, labels, first, second, classes))
    return np.concatenate(accuracy), np.concatenate(f1)


def _f1_gain(
    draws: np.ndarray, labels: np.ndarray, first: np.ndarray, second: np.ndarray, classes: int
) -> np.ndarray:
    """Macro F1 of the second answers minus that of the first, float64 [resamples]."""
    return macro_f1(draws, labels, second, classes) - macro_f1(draws, labels, first, classes)
