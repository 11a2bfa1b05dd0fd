"""How sure a figure is: 95 % intervals of a share, and of figures of a confusion matrix."""

import numpy as np

RESAMPLES = 1000
Z = 1.959964
"""Two-sided 95 % point of the normal distribution."""
Interval = tuple[float, float]


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


def bootstrap(confusion: np.ndarray, seed: int = 0) -> tuple[Interval, Interval]:
    """Percentile intervals of accuracy and macro F1 over resamples of the images.

    Drawing n images with replacement draws the cells of the confusion matrix from a
    multinomial distribution, so the matrix int64 [C, C] is all that is needed (Efron 1979).
    Each resample's macro F1 is over the classes that occur in it. Where every image is right,
    or none, no resample differs from another, and accuracy gets Wilson's interval instead.
    """
    images = int(confusion.sum())
    truth, predicted = np.nonzero(confusion)
    cells = confusion[truth, predicted]
    draws = np.random.default_rng(seed).multinomial(images, cells / images, RESAMPLES)
    hits = np.where(truth == predicted, draws, 0)
    accuracy = hits.sum(axis=1) / images
    macro = macro_f1(draws, truth, predicted, len(confusion))
    correct = int(np.trace(confusion))
    if correct in (0, images):
        low, high = wilson(np.array([correct]), np.array([images]))[0]
        return (float(low), float(high)), percentiles(macro)
    return percentiles(accuracy), percentiles(macro)


def macro_f1(
    draws: np.ndarray, truth: np.ndarray, predicted: np.ndarray, classes: int
) -> np.ndarray:
    """Macro F1 float64 [resamples] of images int64 [resamples, cells] in cells of one truth and
    one answer int64 [cells], each over the classes that occur in the resample."""
    hits = np.where(truth == predicted, draws, 0)
    support, named, right = (
        _sum_by(counts, label, classes)
        for counts, label in ((draws, truth), (draws, predicted), (hits, truth))
    )
    occurs = support > 0
    f1 = np.where(occurs, 2 * right / np.maximum(support + named, 1), 0.0)
    return np.asarray(f1.sum(axis=1) / occurs.sum(axis=1))


def _sum_by(counts: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts [resamples, cells] added up by the cells' label: float64 [resamples, classes]."""
    member = np.zeros((len(labels), classes))
    member[np.arange(len(labels)), labels] = 1
    return np.asarray(counts @ member)


def percentiles(values: np.ndarray) -> Interval:
    """The middle 95 % of resampled values."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
