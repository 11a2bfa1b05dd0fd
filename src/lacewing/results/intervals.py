"""How sure a figure is: 95 % intervals of a share, and of figures of the images judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
MOST_GROUPS = 1000
"""Of images alike that are drawn together where there are more: then no resample takes long."""
Z = 1.959964
"""Two-sided 95 % point of the normal distribution."""
ZERO_RECALL = 0.001
"""What a recall of zero counts as in the geometric mean (imbalanced-learn's `correction`)."""
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Of the figures of one confusion matrix; averages over classes as in `Figures`."""

    accuracy: Interval
    precision: Interval
    recall: Interval
    f1: Interval
    weighted_f1: Interval
    geometric_mean: Interval


def wilson(successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Score intervals of shares, float64 [n, 2]; (0, 1) where there was no trial.

    `successes` and `trials` are int64 [n].
    Wilson, JASA 22 (1927): unlike the normal interval it stays inside 0..1 and holds for the
    few images of a rare class.
    """
    spread = successes * (trials - successes) / np.maximum(trials, 1)
    centre = (successes + Z**2 / 2) / (trials + Z**2)
    half = Z / (trials + Z**2) * np.sqrt(spread + Z**2 / 4)
    return np.clip(np.stack([centre - half, centre + half], axis=-1), 0.0, 1.0)


def wilson_of(successes: int, trials: int) -> Interval:
    """The same of one share."""
    low, high = wilson(np.array([successes]), np.array([trials]))[0]
    return float(low), float(high)


def bootstrap(confusion: np.ndarray, seed: int = 0) -> Intervals:
    """Intervals over resamples of the images, see `around`.

    Drawing n images with replacement draws the cells of the confusion matrix from a
    multinomial distribution, so the matrix int64 [C, C] is all that is needed (Efron 1979).
    Averages over classes are over those that occur in the resample. Where every image is right,
    or none, no resample differs from another, and all get Wilson's interval of the accuracy.
    """
    images, correct = int(confusion.sum()), int(np.trace(confusion))
    if correct in (0, images):
        same = wilson_of(correct, images)
        return Intervals(accuracy=same, precision=same, recall=same, f1=same, weighted_f1=same,
                         geometric_mean=same)  # fmt: skip
    truth, predicted = np.nonzero(confusion)
    draws = with_resamples(confusion[truth, predicted], seed)
    support, named, right = class_counts(draws, truth, predicted, len(confusion))
    occurs = support > 0
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + named, 1)
    logs = mean_over(np.log(np.where(recall > 0, recall, ZERO_RECALL)), occurs)
    low, high = around(logs, -np.inf, 0.0)
    return Intervals(
        accuracy=around(right.sum(axis=1) / images),
        precision=around(mean_over(right / np.maximum(named, 1), occurs)),
        recall=around(mean_over(recall, occurs)),
        f1=around(mean_over(f1, occurs)),
        weighted_f1=around((f1 * support).sum(axis=1) / images),
        geometric_mean=(float(np.exp(low)), float(np.exp(high))),
    )


def mean_interval(values: np.ndarray, seed: int = 0) -> Interval:
    """Of the mean of a value float64 [n] of each image, not below 0."""
    sums, _ = drawn_sums(values, np.zeros(len(values), np.int64), seed)
    return around(sums.sum(axis=1) / len(values), most=np.inf)


def calibration_interval(gaps: np.ndarray, bins: np.ndarray, count: int, seed: int = 0) -> Interval:
    """Of the calibration error, by each image's right answer (1 or 0) less its confidence,
    float64 [n], and by its bin, int64 [n], of so many."""
    sums, places = drawn_sums(gaps, bins, seed)
    return around(np.abs(sum_by(sums, places, count)).sum(axis=1) / len(gaps))


def drawn_sums(values: np.ndarray, parts: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of groups of images, float64 [1 + resamples, g], as they are first, and each group's
    part int64 [g].

    A group is one image, or of very many images some of one part whose values are neighbours,
    drawn as their mean.
    """
    order = np.lexsort((values, parts))
    place = np.arange(len(values)) * MOST_GROUPS // max(MOST_GROUPS, len(values))
    _, first, group, images = np.unique(
        parts[order] * MOST_GROUPS + place,
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    means = np.bincount(group, weights=values[order]) / images
    return with_resamples(images, seed) * means, parts[order][first]


def with_resamples(counts: np.ndarray, seed: int) -> np.ndarray:
    """Counts int64 [cells] as they are, then of resamples: int64 [1 + resamples, cells]."""
    images = int(counts.sum())
    draws = np.random.default_rng(seed).multinomial(images, counts / images, RESAMPLES)
    return np.concatenate([counts[None], draws])


def macro_f1(
    draws: np.ndarray, truth: np.ndarray, predicted: np.ndarray, classes: int
) -> np.ndarray:
    """Macro F1 float64 [resamples] of images int64 [resamples, cells] in cells of one truth and
    one answer int64 [cells], each over the classes that occur in the resample."""
    support, named, right = class_counts(draws, truth, predicted, classes)
    return mean_over(2 * right / np.maximum(support + named, 1), support > 0)


def class_counts(
    draws: np.ndarray, truth: np.ndarray, predicted: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of each class, answers that name it, and right ones: float64 [resamples, classes]."""
    hits = np.where(truth == predicted, draws, 0)
    return (
        sum_by(draws, truth, classes),
        sum_by(draws, predicted, classes),
        sum_by(hits, truth, classes),
    )


def sum_by(values: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Values [resamples, cells] added up by the cells' label: float64 [resamples, classes]."""
    member = np.zeros((len(labels), classes))
    member[np.arange(len(labels)), labels] = 1
    return np.asarray(values @ member)


def mean_over(values: np.ndarray, occurs: np.ndarray) -> np.ndarray:
    """The mean over the classes that occur: [resamples, classes] to float64 [resamples]."""
    return np.asarray(np.where(occurs, values, 0.0).sum(axis=1) / occurs.sum(axis=1))


def around(values: np.ndarray, least: float = 0.0, most: float = 1.0) -> Interval:
    """The middle 95 % of a figure's resampled values, after its own, moved so that their mean is
    the figure: resampling adds noise, which lowers what a missed class lowers and raises errors."""
    figure, resampled = values[0], values[1:]
    low, high = percentiles(resampled - resampled.mean() + figure)
    return max(least, min(low, float(figure))), min(most, max(high, float(figure)))


def percentiles(values: np.ndarray) -> Interval:
    """The middle 95 % of resampled values."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def with_interval(value: float, interval: Sequence[float], words: str = "") -> str:
    """`0.9, (0.87, 0.93)` -> `"90.0% (87.0 to 93.0)"`, with words before the interval."""
    return f"{value:.1%} ({words}{100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
