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
        model.load_state_dict(network(value).state_dict())
        average.update(step)
    assert average.state["weight"].tolist() == [0.5 * 0.5 * 4 + 0.5 * 8] * 2
    assert average.state["num_batches_tracked"] == 8, "a counter is copied"


@pytest.mark.parametrize("step", [1, 5, 50])
def test_a_short_run_forgets_its_start_sooner(step):
    model = network(0.0)
    average = Average(model, 0.999)
    model.load_state_dict(network(1.0).state_dict())
    average.update(step)
    assert average.state["weight"][0] == pytest.approx(1 - (1 + step) / (10 + step))


def test_the_networks_own_weights_are_back_after_the_block():
    model = network(1.0)
    average = Average(network(5.0), 0.9)
    with averaged(model, average):
        assert model.weight[0] == 5
    assert model.weight[0] == 1
    with averaged(model, None):
        assert model.weight[0] == 1


def test_they_change_places_and_nothing_is_copied(monkeypatch):
    model = nn.Sequential(network(1.0), network(1.0))
    model[1].weight = model[0].weight  # one tensor with two names has two averages
    average = Average(model, 0.9)
    average.state = {name: value + 1 for name, value in average.state.items()}
    own = {name: value.clone() for name, value in model.state_dict().items()}
    meant = {name: value.clone() for name, value in average.state.items()}
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "clone", None)
        patch.setattr(torch.Tensor, "copy_", None)
        with averaged(model, average):
            seen = model.state_dict()
            assert all(torch.equal(value, meant[name]) for name, value in seen.items())
            assert model[1].weight is model[0].weight
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, meant[name]) for name, value in average.state.items())


def test_the_networks_own_weights_are_back_after_an_error_too():
    model = network(1.0)
    average = Average(network(5.0), 0.9)
    with pytest.raises(ZeroDivisionError), averaged(model, average):
        raise ZeroDivisionError
    assert model.weight[0] == 1
    assert average.state["weight"][0] == 5


def test_what_was_saved_is_put_back():
    model = network(5.0)
    average = Average(model, 0.9)
    saved = {name: value.clone() for name, value in average.state.items()}
    model.load_state_dict(network(0.0).state_dict())
    average.update(1)
    assert not torch.equal(average.state["weight"], saved["weight"])
    average.put_back(saved)
    assert all(torch.equal(value, saved[name]) for name, value in average.state.items())


def test_all_tensors_move_together_and_to_the_same_bits(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 5)).double()
    model[0].to(torch.float32, memory_format=torch.channels_last)
    average = Average(model, 0.9)
    expected = {name: value.clone() for name, value in average.state.items()}
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight))
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            expected[name].lerp_(value, 1 - 2 / 11)
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "lerp_", None)
        patch.setattr(torch.Tensor, "copy_", None)
        average.update(1)
    assert all(torch.equal(value, expected[name]) for name, value in average.state.items())


def test_a_tensor_that_takes_the_place_of_another_is_followed():
    model = network(0.0)
    average = Average(model, 0.0)
    model.weight = nn.Parameter(torch.full((2,), 3.0))
    model.running_mean = torch.full((2,), 4.0)
    average.update(100)
    assert average.state["weight"].tolist() == [3, 3]
    assert average.state["running_mean"].tolist() == [4, 4]


def test_weights_that_changed_places_for_validation_are_averaged_on():
    model = network(2.0)
    average = Average(model, 0.5)
    with averaged(model, average):
        pass
    with torch.no_grad():
        model.weight.fill_(4.0)
    average.update(100)
    assert average.state["weight"].tolist() == [3, 3]
