"""Passes that fail leave nothing behind."""

import torch

from lacewing.hardware.fake import FakeBackend
from lacewing.hardware.fake_faults import FakeOutOfMemoryError, running_out
from lacewing.planning.trial.passes import guarded
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
