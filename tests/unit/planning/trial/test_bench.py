"""What is timed must cost what training costs."""

import time
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import OPTIMIZERS, make_optimizer
from lacewing.hardware.cpu import CpuBackend
from lacewing.planning.trial.bench import AWAKE, Bench, awake, without_dropout
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


@pytest.fixture
def make_bench():
    """`make_bench(freeze_norms=True)`: a bench on the CPU."""

    def make(**changes):
        fields = {
            "model": network(),
            "make_optimizer": lambda model, _: make_optimizer(
                OPTIMIZERS["adamw"], model, 1e-3, 0.0
            ),
            "loss": make_loss(),
            "images": torch.randn(4, 3, 8, 8),
            "labels": torch.tensor([0, 1, 0, 1]),
            "backend": CpuBackend(),
            "index": 0,
            "clock": time.perf_counter,
        }
        return Bench(**{**fields, **changes})

    return make


def test_what_is_zero_throughout_gets_a_small_value_and_all_else_stays():
    before = network()
    after = awake(network())
    assert (after[1].weight == AWAKE).all()
    assert (after[3].weight == AWAKE).all()
    assert torch.equal(after[0].weight, before[0].weight)
    assert torch.equal(after[3].bias, before[3].bias)


def test_no_gradient_of_a_network_that_begins_at_zero_is_denormal(make_bench):
    bench = make_bench()
    for _ in range(3):
        bench.train(WAY)
    assert not bench.model[1].weight.any()
    for parameter in bench.copy("contiguous").parameters():
        small = parameter.grad.abs()
        assert not ((small > 0) & (small < TINY)).any()
        assert small.any()


def test_a_pass_in_fp16_has_its_update(make_bench, monkeypatch):
    """Gradients of 1e34 are within fp32 times 256, and beyond times 65536, where a run begins."""
    backend = CpuBackend()
    monkeypatch.setattr(backend, "autocast", lambda precision: nullcontext())
    usual = make_loss()
    bench = make_bench(loss=lambda logits, labels: 1e34 * usual(logits, labels), backend=backend)
    way = replace(WAY, precision="fp16")
    bench.train(way)
    assert bench.optimizer(way).state, "it was not left out"


def test_a_lean_bench_holds_one_network_and_one_optimiser(make_bench):
    bench = make_bench(lean=True)
    ways = (WAY, replace(WAY, memory_format="channels_last"), replace(WAY, kernel="foreach"), WAY)
    losses = [bench.train(way).loss for way in ways]
    assert losses == pytest.approx(losses[:1] * 4, rel=1e-4)
    assert len(bench.copies) == len(bench.optimizers) == 1
    other = replace(WAY, memory_format="channels_last")
    built = bench.model
    bench.keep_only(other)
    assert bench.copies == {"channels_last": built}, "where memory is short, not one more copy"
    assert bench.train(other).loss == pytest.approx(losses[0], rel=1e-4), (
        "it was made before all else went"
    )


@pytest.mark.parametrize("freeze_norms", [False, True])
def test_norms_are_in_the_mode_of_the_run(make_bench, freeze_norms):
    bench = make_bench(freeze_norms=freeze_norms)
    bench.train(WAY)
    bench.forward(WAY, "contiguous")
    bench.train(WAY)
    copy = bench.copy("contiguous")
    assert copy.training
    assert copy[1].training is not freeze_norms
    assert copy[1].num_batches_tracked == (0 if freeze_norms else 2)


def test_a_first_pass_without_dropout_leaves_the_mode_alone(make_bench):
    bench = make_bench(model=nn.Sequential(*network(), nn.Dropout(0.5)), freeze_norms=True)
    bench.forward(WAY, "contiguous")
    copy = bench.ready("contiguous")
    with without_dropout(copy):
        bench.train(WAY)
        assert not copy[4].training
        assert not copy[1].training
    assert copy[4].training
    assert not copy[1].training
