"""How many layers learn: a pure function of the epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacewing.planning.unfreezing import learning_layers

EPOCHS = st.integers(1, 300)
LAYERS = st.integers(1, 100)


@pytest.mark.parametrize(
    ("epochs", "layers", "expected"),
    [
        (1, 17, [17]),
        (2, 17, [9, 17]),
        (3, 17, [9, 17, 17]),
        (6, 8, [2, 4, 6, 8, 8, 8]),
        (10, 3, [1, 1, 2, 2, 3, 3, 3, 3, 3, 3]),
    ],
)
def test_the_last_ones_first(epochs, layers, expected):
    assert [learning_layers(epoch, epochs, layers) for epoch in range(epochs)] == expected


@given(EPOCHS, LAYERS)
def test_some_always_learn_and_all_do_from_half_of_the_epochs_on(epochs, layers):
    learning = [learning_layers(epoch, epochs, layers) for epoch in range(epochs)]
    assert learning == sorted(learning)
    assert learning[0] >= 1
    assert set(learning[epochs // 2 :]) == {layers}
