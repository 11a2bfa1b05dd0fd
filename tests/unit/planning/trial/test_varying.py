"""How a batch is varied the fastest: what is wrong, or does not run, is out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lacewing.data.batch import Batch
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.fake import FakeBackend
from lacewing.planning.trial.findings import Varied
from lacewing.planning.trial.refine import with_varying
from lacewing.planning.trial.stage import set_up
from lacewing.planning.trial.varying import fastest, time_batches, time_kernels

COUNT = 4


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Loader:
    """Batches of one colour, each of which takes so many seconds to be varied."""

    wait_seconds = 0.0

    def __init__(self, clock, seconds, colour=0.5):
        self.clock, self.seconds, self.colour = clock, seconds, colour

    def epoch(self, epoch):
        self.clock.now += self.seconds + (10 if epoch == 0 else 0)
        images = torch.full((COUNT, 3, 8, 8), self.colour)
        yield Batch(images, torch.zeros(COUNT, dtype=torch.int64), np.arange(COUNT))


@pytest.fixture
def clock():
    return Clock()


def tried(clock, other):
    plain = time_batches(Loader(clock, 0.8), lambda: None, clock)
    assert plain.augment_seconds == pytest.approx(0.8 / COUNT)
    return time_kernels(other, plain, lambda: None, clock)


def test_kernels_that_make_the_same_pixels_are_timed(clock):
    found = tried(clock, lambda: Loader(clock, 0.2, 0.5 + 1e-6))
    assert (found.by, found.out) == ("kernel", "")
    assert found.seconds == pytest.approx(0.2 / COUNT)


@pytest.mark.parametrize("colour", [0.6, float("nan")])
def test_kernels_that_make_others_are_out(clock, colour):
    assert tried(clock, lambda: Loader(clock, 0.2, colour)).out == "its pixels are wrong"


def test_so_are_those_that_can_not_be_compiled(clock):
    def broken():
        raise RuntimeError("no C compiler\nand more")

    assert tried(clock, broken).out == "RuntimeError: no C compiler"


@pytest.mark.parametrize(
    ("other", "best"),
    [
        (Varied(by="kernel", seconds=0.5), "kernel"),
        (Varied(by="kernel", seconds=0.99), "device"),
        (Varied(by="kernel", out="its pixels are wrong"), "device"),
    ],
)
def test_only_what_is_faster_by_more_than_noise_is_taken(plan_on, found, other, best):
    varied = (Varied(by="device", seconds=1.0), other)
    assert fastest(varied).by == best
    choice = with_varying(plan_on("rtx3070_8gb"), found(varied=varied)).augment_on
    assert (choice.value, choice.source) == (best, "measured")
    assert set(choice.evidence) == {"device", "kernel"}
    assert (other.out or f"{other.rate:,.0f}") in choice.reason


def test_a_plan_without_kernels_stays_the_rules(plan_on, found):
    assert with_varying(plan_on("cpu_2core_24gb"), found()).augment_on.source == "rule"


def test_triton_without_a_gpu_is_told_and_tensor_operations_stay(scene):
    """Its compiler finds no device here: an error of its own, which must end nothing."""
    pytest.importorskip("triton")
    capabilities = replace(
        BACKENDS["cuda"]().capabilities, pinned_memory=False, compile=False, triton=True
    )
    made = scene(FakeBackend(capabilities=capabilities))
    _, sample = set_up(made.plan, made.config, made.work, made.fake, 0, lambda: 0.0)
    plain, kernel = sample.varied
    assert (plain.by, kernel.by) == ("device", "kernel")
    assert kernel.seconds is None
    assert kernel.out
