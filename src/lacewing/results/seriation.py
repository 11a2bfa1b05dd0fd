"""An order of the classes in which those that are confused stand side by side."""

import numpy as np


def order_by_confusion(confusion: np.ndarray) -> np.ndarray:
    """A permutation int64 [C] of the classes of a confusion matrix [C, C].

    Average-linkage clustering on how often two classes are taken for one another, in shares of
    their images; clusters are joined at the ends that resemble each other most. Classes that
    are confused with no other keep their order, at the end.
    """
    similarity = _similarity(confusion)
    groups = [[label] for label in range(len(confusion))]
    links = similarity.copy()
    np.fill_diagonal(links, -1.0)
    while len(groups) > 1:
        first, second = sorted(divmod(int(links.argmax()), len(groups)))
        if links[first, second] <= 0:
            break
        sizes = len(groups[first]), len(groups[second])
        links[first] = np.average(links[[first, second]], axis=0, weights=sizes)
        links[:, first] = links[first]
        links[first, first] = -1.0
        groups[first] = _joined(groups[first], groups[second], similarity)
        del groups[second]
        links = np.delete(np.delete(links, second, axis=0), second, axis=1)
    groups.sort(key=len, reverse=True)
    return np.array([label for group in groups for label in group], dtype=np.int64)


def _similarity(confusion: np.ndarray) -> np.ndarray:
    """Symmetric float64 [C, C], zero on the diagonal."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    both = shares + shares.T
    np.fill_diagonal(both, 0.0)
    return np.asarray(both)


def _joined(left: list[int], right: list[int], similarity: np.ndarray) -> list[int]:
    """The two sequences end to end, either turned round, by the likeness where they meet."""
    ways = [(one, two) for one in (left, left[::-1]) for two in (right, right[::-1])]
    one, two = max(ways, key=lambda way: similarity[way[0][-1], way[1][0]])
    return one + two
