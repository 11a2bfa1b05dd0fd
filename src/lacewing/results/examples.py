"""Which images of a judged split a person should look at; rows only, no pixels."""

from collections.abc import Sequence

import numpy as np

Pair = tuple[int, int]
"""The true class, and the one it was taken for."""


def confident_mistakes(probabilities: np.ndarray, labels: np.ndarray, limit: int) -> list[int]:
    """Rows that are wrong, the most confident first.

    probabilities: float32 [n, C], labels: int64 [n].
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return [int(row) for row in wrong[order][:limit]]


def surprising_mistakes(
    probabilities: np.ndarray, labels: np.ndarray, but: Sequence[int], limit: int
) -> list[int]:
    """Rows that are wrong though their class is mostly recognised, those of the surest first.

    Ranked by the recall of the true class times the confidence of the wrong answer; rows in
    `but` are passed over.
    """
    answers = probabilities.argmax(axis=1)
    support = np.bincount(labels, minlength=probabilities.shape[1])
    right = np.bincount(labels[answers == labels], minlength=probabilities.shape[1])
    recall = right / np.maximum(support, 1)
    score = recall[labels] * probabilities.max(axis=1)
    wrong = np.setdiff1d(np.flatnonzero(answers != labels), np.array(but, dtype=np.int64))
    order = np.argsort(-score[wrong], kind="stable")
    return [int(row) for row in wrong[order][:limit]]


def pair_examples(
    probabilities: np.ndarray, labels: np.ndarray, pair: Pair
) -> tuple[int, int | None]:
    """A row of the pair's first class taken for its second, and one that is rightly the second.

    Of each the most confident; None where the second class was never recognised.
    """
    true, taken_for = pair
    answers = probabilities.argmax(axis=1)
    confused = np.flatnonzero((labels == true) & (answers == taken_for))
    right = np.flatnonzero((labels == taken_for) & (answers == taken_for))
    best = [
        int(rows[probabilities[rows, taken_for].argmax()]) if len(rows) else None
        for rows in (confused, right)
    ]
    assert best[0] is not None
    return best[0], best[1]
