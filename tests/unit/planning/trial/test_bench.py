"""What is timed must cost what training costs."""

import time

import torch
from torch import nn

from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import OPTIMIZERS, make_optimizer
from lacewing.hardware.cpu import CpuBackend
from lacewing.planning.trial.bench import AWAKE, Bench, awake
from lacewing.planning.trial.ways import Way

WAY = Way(precision="fp32", memory_format="contiguous", kernel="plain", threads=1, images=4)
TINY = torch.finfo(torch.float32).tiny


def network():
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2)
    )
    nn.init.zeros_(made[1].weight)
    nn.init.zeros_(made[3].weight)
    return made


def test_what_is_zero_throughout_gets_a_small_value_and_all_else_stays():
    before = network()
    after = awake(network())
    assert (after[1].weight == AWAKE).all()
    assert (after[3].weight == AWAKE).all()
    assert torch.equal(after[0].weight, before[0].weight)
    assert torch.equal(after[3].bias, before[3].bias)


def test_no_gradient_of_a_network_that_begins_at_zero_is_denormal():
    bench = Bench(
        model=network(),
        make_optimizer=lambda model, _: make_optimizer(OPTIMIZERS["adamw"], model, 1e-3, 0.0),
        loss=make_loss(),
        images=torch.randn(4, 3, 8, 8),
        labels=torch.tensor([0, 1, 0, 1]),
        backend=CpuBackend(),
        index=0,
        clock=time.perf_counter,
    )
    for _ in range(3):
        bench.train(WAY)
    assert not bench.model[1].weight.any()
    for parameter in bench.copy("contiguous").parameters():
        small = parameter.grad.abs()
        assert not ((small > 0) & (small < TINY)).any()
        assert small.any()
