"""Labels that are likely wrong."""

import numpy as np

from lacewing.results.suspects import find_suspects


def test_swapped_labels_are_found_and_come_first(scores):
    probabilities, labels = scores(2000, 8)
    true = probabilities.argmax(axis=1)
    sure = np.flatnonzero((probabilities.max(axis=1) > 0.7) & (true == labels))
    swapped = np.random.default_rng(0).choice(sure, 12, replace=False)
    noisy = labels.copy()
    noisy[swapped] = (labels[swapped] + 4) % 8
    before = {one.row for one in find_suspects(probabilities, labels)}
    found = find_suspects(probabilities, noisy)
    assert set(swapped.tolist()) <= {one.row for one in found[:60]}
    assert not set(swapped.tolist()) & before
    for one in found:
        assert one.own == probabilities[one.row, noisy[one.row]]
        assert one.other == probabilities[one.row, one.suggested]
    assert sorted(found, key=lambda one: one.own - one.other) == found


def test_the_threshold_is_the_classes_own_mean():
    # class 1 is usually 0.9 sure of its own images, so 0.6 is no reason to doubt a label
    probabilities = np.array([[0.4, 0.6], [0.05, 0.95], [0.1, 0.9], [0.8, 0.2]], np.float32)
    assert find_suspects(probabilities, np.array([0, 1, 1, 0])) == []
    modest = np.array([[0.4, 0.6], [0.45, 0.55], [0.4, 0.6], [0.8, 0.2]], np.float32)
    (one,) = find_suspects(modest, np.array([0, 1, 1, 0]))
    assert (one.row, one.suggested) == (0, 1)


def test_nothing_is_held_for_a_class_without_an_image():
    probabilities = np.array([[0.1, 0.9], [0.2, 0.8]], np.float32)
    assert find_suspects(probabilities, np.array([0, 0])) == []
