"""How a confusion matrix shows its classes: those that are confused side by side, names cut."""

import numpy as np

NUMBERS_UP_TO = 20
"""Most classes whose matrix has its numbers written in and keeps the order of the classes."""
ORDERED_UP_TO = 1000
"""Most classes that are put in order: it takes time by the cube of their number."""
LONGEST_NAME = 34
"""Letters of a class's name."""


def order_in_picture(confusion: np.ndarray) -> np.ndarray:
    """The classes of a confusion matrix int64 [C, C], int64 [C]: few, or very many, as they are."""
    count = len(confusion)
    if count <= NUMBERS_UP_TO or count > ORDERED_UP_TO:
        return np.arange(count)
    return order_by_confusion(confusion)


def shorten(name: str, longest: int = LONGEST_NAME) -> str:
    """A class's name on one line, cut in the middle where it is too long."""
    line = " ".join(name.split())
    if len(line) <= longest:
        return line
    half = (longest - 1) // 2
    return f"{line[:half]}…{line[-half:]}"


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
