"""The average of the weights against its formula."""

import pytest
import torch
from torch import nn

from lacewing.engine.average import Average, averaged


def network(value: float) -> nn.Module:
    model = nn.BatchNorm1d(2)
    with torch.no_grad():
        model.weight.fill_(value)
        model.num_batches_tracked.fill_(int(value))
    return model


def test_it_is_the_exponential_average_once_warm():
    model = network(0.0)
    average = Average(model, 0.5)
    for step, value in enumerate((4.0, 8.0), start=100):
        model = network(value)
        average.update(model, step)
    assert average.state["weight"].tolist() == [0.5 * 0.5 * 4 + 0.5 * 8] * 2
    assert average.state["num_batches_tracked"] == 8, "a counter is copied"


@pytest.mark.parametrize("step", [1, 5, 50])
def test_a_short_run_forgets_its_start_sooner(step):
    average = Average(network(0.0), 0.999)
    average.update(network(1.0), step)
    assert average.state["weight"][0] == pytest.approx(1 - (1 + step) / (10 + step))


def test_the_networks_own_weights_are_back_after_the_block():
    model = network(1.0)
    average = Average(network(5.0), 0.9)
    with averaged(model, average):
        assert model.weight[0] == 5
    assert model.weight[0] == 1
    with averaged(model, None):
        assert model.weight[0] == 1


def test_what_was_saved_is_put_back():
    average = Average(network(5.0), 0.9)
    saved = {name: value.clone() for name, value in average.state.items()}
    average.update(network(0.0), 1)
    average.put_back(saved)
    assert all(torch.equal(value, saved[name]) for name, value in average.state.items())
