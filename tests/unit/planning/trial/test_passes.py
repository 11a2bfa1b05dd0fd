"""Passes that fail leave nothing behind."""

from types import SimpleNamespace

import torch

from lacewing.hardware.fake import FakeBackend
from lacewing.hardware.fake_faults import FakeOutOfMemoryError, running_out
from lacewing.planning.trial.bench import Pass
from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.passes import checked, guarded
from lacewing.planning.trial.peaks import two_steps
from lacewing.planning.trial.stage import set_up


def test_half_of_an_optimisers_state_is_forgotten(scene, way):
    """With one number of a weight's state there, Adam would look for its moments in vain."""
    made = scene(FakeBackend(), optimizer="adamw")
    bench, _ = set_up(made.plan, made.config, made.work, made.fake, 0, lambda: 0.0)
    one = way(kernel="plain", threads=torch.get_num_threads(), images=4)
    optimizer = bench.optimizer(one)
    intact = running_out({1, 3}, optimizer.step)

    def step():
        try:
            intact()
        except FakeOutOfMemoryError:
            optimizer.state.clear()
            optimizer.state[optimizer.param_groups[0]["params"][0]]["step"] = torch.tensor(1.0)
            raise

    optimizer.step = step
    assert guarded(bench, lambda: bench.train(one)) == "the memory is full"
    bench.train(one)
    assert two_steps(bench, one) is None
    bench.train(one)


def test_the_first_pass_of_a_way_may_be_a_smaller_one(way):
    """Its loss is compared with full precision's on the same images."""
    passes = []

    def run(one):
        passes.append((one.precision, one.images))
        return Pass(seconds=0.5 * one.images, loss=one.images + (one.precision == "bf16"))

    bench = SimpleNamespace(forget=lambda memory_format: None)
    budget = Budget(lambda: 0.0, images=1)
    trial = SimpleNamespace(bench=bench, budget=budget, expected={})
    timed = checked(trial, run, run, 4, is_forward=False)
    assert [timed(way(precision="bf16")), timed(way())] == [
        "its loss is 5, and 4 in full precision", 2.0,
    ]  # fmt: skip
    assert [timed(way()), timed(way())] == [5.0, 5.0]
    assert passes == [("bf16", 4), ("fp32", 4), ("fp32", 4), ("fp32", 10), ("fp32", 10)]
    assert budget.fastest == 0.5
