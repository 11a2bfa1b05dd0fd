"""Which images a person should look at."""

import numpy as np
import pytest

from lacewing.results.examples import confident_mistakes, pair_examples, surprising_mistakes

CHANCES = np.array(
    [
        [0.9, 0.1, 0.0],  # right
        [0.8, 0.2, 0.0],  # right
        [0.3, 0.7, 0.0],  # wrong, of a class that is mostly recognised
        [0.0, 0.95, 0.05],  # wrong, the surest
        [0.0, 0.2, 0.8],  # wrong
        [0.1, 0.6, 0.3],  # right
    ],
    np.float32,
)
LABELS = np.array([0, 0, 0, 2, 1, 1])


def test_the_surest_mistakes_come_first():
    assert confident_mistakes(CHANCES, LABELS, 9) == [3, 4, 2]
    assert confident_mistakes(CHANCES, LABELS, 1) == [3]


def test_surprises_are_of_classes_that_are_recognised():
    assert surprising_mistakes(CHANCES, LABELS, [], 9) == [2, 4, 3]
    assert surprising_mistakes(CHANCES, LABELS, [2], 1) == [4]


@pytest.mark.parametrize(("pair", "rows"), [((0, 1), (2, 5)), ((1, 2), (4, None))])
def test_a_pair_has_an_example_of_each_class(pair, rows):
    assert pair_examples(CHANCES, LABELS, pair) == rows


def test_a_perfect_network_leaves_nothing_to_see():
    perfect = np.eye(3, dtype=np.float32)[LABELS]
    assert confident_mistakes(perfect, LABELS, 5) == []
    assert surprising_mistakes(perfect, LABELS, [], 5) == []
