"""How often an epoch shows an image: rare classes more often, if that is asked for."""

import numpy as np

from lacewing.data.chance import order, uniforms

ORDER_OF_DRAWN = 2**32
"""Added to the epoch for the second shuffle, so that it is another one than the first."""


def distinct(rows: np.ndarray, count: int) -> np.ndarray:
    """Numbers of an epoch's samples, int64 [n]: the row, plus `count` for each time it came before.

    So the copies of an image that is shown more than once are varied each in its own way.
    """
    if np.bincount(rows).max(initial=0) <= 1:  # as always without balance: nothing to sort
        return rows
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.searchsorted(ordered, ordered)
    before = np.empty_like(rows)
    before[order] = np.arange(len(rows)) - first
    return rows + count * before


def balanced_order(seed: int, epoch: int, labels: np.ndarray, balance: float) -> np.ndarray:
    """An epoch's rows, int64 [n], for labels int64 [n]; some occur often and some not at all.

    A class of c images gets a share of the epoch in proportion to c ** (1 - balance): 0 shows
    each image once, 1 shows all classes equally often (class-balanced sampling), 0.5 lies
    between (square-root sampling; both in Kang et al. 2020, arXiv:1910.09217). Systematic
    sampling over the shuffled images: each is shown as often as its share says, rounded up or
    down, so that over the epochs none is left out. A function of (seed, epoch) alone.
    """
    count = len(labels)
    rows = order(seed, epoch, count)
    if balance == 0:
        return rows
    weights = np.bincount(labels)[labels[rows]].astype(np.float64) ** -balance
    ends = np.cumsum(weights) / weights.sum() * count
    start = uniforms(seed, epoch, np.array([count]), 1)[0, 0]
    drawn = rows[np.searchsorted(ends, np.arange(count) + start, side="right").clip(max=count - 1)]
    return drawn[order(seed, epoch + ORDER_OF_DRAWN, count)]
