"""Taking a run's state apart and putting it together."""

import copy
import json

import pytest
import torch
from torch import nn

from lacewing.engine.schedules import make_schedule
from lacewing.training.state import (
    Progress,
    Snapshot,
    capture,
    flatten_optimizer,
    restore,
    unflatten_optimizer,
)

KINDS = {
    "sgd": lambda weights, **flags: torch.optim.SGD(weights, lr=0.1, momentum=0.9, **flags),
    "adamw": lambda weights, **flags: torch.optim.AdamW(weights, lr=0.01, **flags),
}


def schedule():
    return make_schedule(
        "cosine", steps_per_epoch=3, epochs=2, warmup_epochs=0, step_epochs=1, gamma=None
    )


def network(memory_format=torch.channels_last):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2))
    model(torch.zeros(1, 3, 8, 8))
    return model.to(memory_format=memory_format)


def step(model, optimizer, seed):
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(images).square().sum().backward()
    optimizer.step()


def through_json(snapshot):
    return Snapshot(snapshot.model, snapshot.optimizer, json.loads(json.dumps(snapshot.plain)))


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("kernel", ["plain", "foreach", "fused"])
def test_what_is_put_back_goes_on_to_the_bit(kind, kernel):
    flags = {name: name == kernel for name in ("foreach", "fused")}
    model = network()
    optimizer = KINDS[kind](model.parameters(), **flags)
    step(model, optimizer, 1)
    kept = through_json(capture(model, optimizer, None, schedule(), Progress(step=1)))
    step(model, optimizer, 2)
    again = network()
    other = KINDS[kind](again.parameters(), **flags)
    assert restore(kept, again, other, None, schedule()).step == 1
    step(again, other, 2)
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_snapshot_can_be_put_back_twice():
    model = network()
    optimizer = KINDS["adamw"](model.parameters())
    step(model, optimizer, 1)
    kept = capture(model, optimizer, None, schedule(), Progress())
    before = copy.deepcopy(kept)
    for _ in range(2):
        restore(kept, model, optimizer, None, schedule())
        step(model, optimizer, 2)
        assert all(torch.equal(kept.optimizer[n], t) for n, t in before.optimizer.items())
        assert all(torch.equal(kept.model[n], t) for n, t in before.model.items())


def test_the_kernel_is_the_new_optimisers():
    model = network()
    first = KINDS["adamw"](model.parameters(), fused=True)
    step(model, first, 1)
    kept = capture(model, first, None, schedule(), Progress())
    second = KINDS["adamw"](model.parameters(), foreach=False, fused=False)
    restore(kept, model, second, None, schedule())
    assert second.param_groups[0]["fused"] is False
    assert first.param_groups[0]["fused"] is True


def test_a_tensor_among_the_settings_survives():
    setting = torch.tensor(1.5)
    groups = [{"lr": 0.1, "betas": (0.9, 0.99), "max_grad_norm": setting, "params": [0]}]
    state = {"state": {0: {"moment": torch.ones(2), "count": 3}}, "param_groups": groups}
    tensors, values, plain = flatten_optimizer(state)
    back = unflatten_optimizer(tensors, values, json.loads(json.dumps(plain)))
    assert torch.equal(back["param_groups"][0].pop("max_grad_norm"), setting)
    assert back["param_groups"] == [{"lr": 0.1, "betas": (0.9, 0.99), "params": [0]}]
    assert back["state"][0]["count"] == 3
    assert groups[0]["max_grad_norm"] is setting
