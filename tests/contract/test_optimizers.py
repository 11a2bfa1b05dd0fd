"""What every optimiser must do: learn, and continue bit for bit from a checkpoint."""

import json

import pytest
import torch
from torch import nn

from lacewing.engine.optimizers import OPTIMIZERS, find_optimizer, make_optimizer
from lacewing.training.state import flatten_optimizer, unflatten_optimizer

KERNELS = [(info.name, kernel) for info in OPTIMIZERS.values() for kernel in info.kernels]
TIMMS = ("adamp", "nadamw", "adan", "lion", "lars", "madgrad", "rmsproptf", "sgdp", "adafactor")
EACH = [(name, "plain") for name in (*OPTIMIZERS, *TIMMS)] + KERNELS

each = pytest.mark.parametrize(("name", "kernel"), EACH)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 36, 4),
    )


def make(name, kernel, model):
    info = find_optimizer(name)
    return make_optimizer(info, model, info.rates.scratch, weight_decay=1e-4, kernel=kernel)


def train(model, optimizer, steps):
    """The loss before each of some steps on the same sixteen images."""
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.randn(16, 3, 8, 8, generator=generator), torch.arange(16) % 4
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@each
def test_it_learns(name, kernel):
    model = network()
    losses = train(model, make(name, kernel, model), 10)
    assert losses[-1] < losses[0]


@each
def test_it_continues_bit_for_bit(name, kernel):
    model = network()
    optimizer = make(name, kernel, model)
    train(model, optimizer, 3)
    tensors, *plain = flatten_optimizer(optimizer.state_dict())
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    expected = train(model, optimizer, 3)

    resumed = network()
    resumed.load_state_dict(weights)
    again = make(name, kernel, resumed)
    again.load_state_dict(unflatten_optimizer(tensors, *json.loads(json.dumps(plain))))
    assert train(resumed, again, 3) == expected
    assert all(map(torch.equal, resumed.state_dict().values(), model.state_dict().values()))


@pytest.mark.parametrize(("name", "kernel"), KERNELS)
def test_a_kernel_changes_only_the_speed(name, kernel):
    plain, other = network(), network()
    train(plain, make(name, "plain", plain), 3)
    train(other, make(name, kernel, other), 3)
    for expected, weight in zip(plain.parameters(), other.parameters(), strict=True):
        assert torch.allclose(weight, expected, atol=1e-4)
