"""How good a network is on one split: pure functions of its probabilities and the labels.

Averages over classes (macro precision, recall, F1, geometric mean) run over the classes that
occur in the split: a class without an image there has no recall to be averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lacewing.engine.calibration import CALIBRATION_BINS, bin_of, calibration_error
from lacewing.errors import DataError, TrainingError
from lacewing.results.intervals import (
    ZERO_RECALL,
    Interval,
    bootstrap,
    calibration_interval,
    mean_interval,
    wilson,
    wilson_of,
)

SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
"""Probabilities below this count as this in the loss, so that one image can't make it infinite."""


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """One class of one split."""

    name: str
    support: int
    """Images of the class in the split."""
    precision: float
    recall: float
    f1: float
    recall_interval: Interval
    """Wilson's 95 % interval; (0, 1) without support."""


@dataclass(frozen=True)
class Reliability:
    """One bin of confidence: how sure its answers were, and how many of them were right."""

    confidence: float
    """Mean over the bin's answers; so is `accuracy`."""
    accuracy: float
    images: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Figures:
    """One split. Every figure but `images` and `loss` is a share, 0 to 1."""

    images: int
    top1: float
    top1_interval: Interval
    """95 %, over 1000 bootstrap resamples of the images; so are the others but top-3's and top-5's,
    which are Wilson's."""
    top3: float
    """Share of images whose class is among the 3 most probable; 1 with fewer classes."""
    top3_interval: Interval
    top5: float
    top5_interval: Interval
    loss: float
    """Mean cross-entropy, in nats."""
    loss_interval: Interval
    precision: float
    precision_interval: Interval
    recall: float
    recall_interval: Interval
    f1: float
    f1_interval: Interval
    weighted_f1: float
    """Mean F1 of the classes, each weighed by its images."""
    weighted_f1_interval: Interval
    geometric_mean: float
    """Geometric mean of the classes' recalls, zeros counting as ZERO_RECALL."""
    geometric_mean_interval: Interval
    calibration_error: float
    """Expected calibration error over 15 equal bins of confidence."""
    calibration_error_interval: Interval
    reliability: tuple[Reliability, ...]
    """Of the bins that have an answer, the least sure first."""
    classes: tuple[ClassFigures, ...]
    confusion: np.ndarray
    """int64 [C, C]: images of class `row` that were taken for class `column`."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = {
            name: list(value) if name.endswith("_interval") else value
            for name, value in vars(self).items()
        }
        return {
            **plain,
            "reliability": [vars(one) for one in self.reliability],
            "classes": [
                {**vars(one), "recall_interval": list(one.recall_interval)} for one in self.classes
            ],
            "confusion": self.confusion.tolist(),
        }


def figures(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], seed: int = 0
) -> Figures:
    """Judge probabilities float32 [n, C] against labels int64 [n].

    Of equally probable classes the first counts as the prediction. Raises DataError for a
    split without images and TrainingError for probabilities that are not finite.
    """
    check(probabilities, labels, classes)
    truth = probabilities[np.arange(len(labels)), labels]
    ranks = rank_of_truth(probabilities, labels)
    confusion = count_pairs(labels, probabilities.argmax(axis=1), len(classes))
    rows = class_figures(confusion, classes)
    present = [row for row in rows if row.support]
    intervals = bootstrap(confusion, seed)
    losses = -np.log(np.maximum(truth, SMALLEST_PROBABILITY), dtype=np.float64)
    confidence, correct = probabilities.max(axis=1), ranks < 1
    gaps = correct - confidence.astype(np.float64)
    return Figures(
        images=len(labels),
        top1=float(np.mean(correct)),
        top1_interval=intervals.accuracy,
        top3=float(np.mean(ranks < 3)),
        top3_interval=among_first(ranks, 3, len(classes)),
        top5=float(np.mean(ranks < 5)),
        top5_interval=among_first(ranks, 5, len(classes)),
        loss=float(losses.mean()),
        loss_interval=mean_interval(losses, seed),
        precision=float(np.mean([row.precision for row in present])),
        precision_interval=intervals.precision,
        recall=float(np.mean([row.recall for row in present])),
        recall_interval=intervals.recall,
        f1=float(np.mean([row.f1 for row in present])),
        f1_interval=intervals.f1,
        weighted_f1=sum(row.f1 * row.support for row in present) / len(labels),
        weighted_f1_interval=intervals.weighted_f1,
        geometric_mean=geometric_mean([row.recall for row in present]),
        geometric_mean_interval=intervals.geometric_mean,
        calibration_error=calibration_error(confidence, correct),
        calibration_error_interval=calibration_interval(
            gaps, bin_of(confidence), CALIBRATION_BINS, seed
        ),
        reliability=reliability(confidence, correct),
        classes=rows,
        confusion=confusion,
    )


def among_first(ranks: np.ndarray, count: int, classes: int) -> Interval:
    """The interval of the share of ranks int64 [n] below `count`; with no more classes, certain."""
    if classes <= count:
        return 1.0, 1.0
    return wilson_of(int((ranks < count).sum()), len(ranks))


def reliability(confidence: np.ndarray, correct: np.ndarray) -> tuple[Reliability, ...]:
    """The bins of a reliability diagram (DeGroot and Fienberg 1983), as many as the error's."""
    bins = bin_of(confidence)
    images = np.bincount(bins, minlength=CALIBRATION_BINS)
    sure = np.bincount(bins, weights=confidence.astype(np.float64), minlength=CALIBRATION_BINS)
    right = np.bincount(bins, weights=correct, minlength=CALIBRATION_BINS)
    return tuple(
        Reliability(
            float(sure[one] / images[one]), float(right[one] / images[one]), int(images[one])
        )
        for one in np.flatnonzero(images)
    )


def check(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Refuse what can't be judged."""
    assert probabilities.shape == (len(labels), len(classes))
    if len(labels) == 0:
        raise DataError("There is no image to judge the network on: the split is empty.")
    broken = int((~np.isfinite(probabilities)).any(axis=1).sum())
    if broken:
        raise TrainingError(
            f"The network's output is not finite for {broken} of {len(labels)} images: train it "
            "again with --precision fp32 or a lower --learning-rate."
        )


def rank_of_truth(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes stand before the true one, int64 [n]; of equals the first is before."""
    truth = probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    before = (probabilities > truth) | ((probabilities == truth) & earlier)
    return np.asarray(before.sum(axis=1))


def count_pairs(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """The confusion matrix int64 [C, C], true classes in rows."""
    cells = np.bincount(labels * classes + predicted, minlength=classes**2)
    return cells.reshape(classes, classes)


def class_figures(confusion: np.ndarray, classes: Sequence[str]) -> tuple[ClassFigures, ...]:
    """Precision, recall and F1 of each class; 0 where nothing defines them."""
    right, support, named = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(named, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + named, 1)
    intervals = wilson(right, support)
    return tuple(
        ClassFigures(
            name=name,
            support=int(support[label]),
            precision=float(precision[label]),
            recall=float(recall[label]),
            f1=float(f1[label]),
            recall_interval=(float(intervals[label, 0]), float(intervals[label, 1])),
        )
        for label, name in enumerate(classes)
    )


def geometric_mean(recalls: Sequence[float]) -> float:
    """Low as soon as one class is missed, which the arithmetic mean forgives (Kubat 1997)."""
    return float(np.exp(np.mean(np.log([recall or ZERO_RECALL for recall in recalls]))))
