"""Peaks of memory in a child process, which may be ended."""

import pytest

from lacewing.hardware.child import ChildError
from lacewing.planning.trial import peaks
from lacewing.planning.trial.memory import fit
from lacewing.planning.trial.peaks import (
    Peaks,
    Task,
    added_by_forward,
    peaks_in_child,
    sizes_for,
)

WAY = {"precision": "fp32", "memory_format": "contiguous", "kernel": "plain", "threads": 1}
TASK = Task(
    model="test_resnet",
    classes=3,
    image_size=64,
    optimizer="sgd",
    way=WAY,
    sizes=(4, 8, 16),
    allowed=None,
    forward={**WAY, "images": 32},
    freeze_norms=True,
)


@pytest.mark.parametrize(
    ("micro", "sizes"),
    [(16, (4, 8, 16)), (64, (16, 32, 64)), (6, (2, 3, 6)), (2, (2,)), (1, (2,)), (3, (2, 3))],
)
def test_two_small_sizes_and_the_planned_one(micro, sizes):
    assert sizes_for(micro) == sizes


def test_a_child_that_is_ended_is_asked_for_less(monkeypatch):
    asked = []

    def run_child(code, seconds):
        asked.append("[4, 8, 16]" in code)
        if asked[-1]:
            raise ChildError("its process was ended by SIGKILL")
        return {"training": {"4": 50, "8": 60}, "evaluation": 70}

    monkeypatch.setattr(peaks, "run_child", run_child)
    assert peaks_in_child(TASK, 30) == Peaks({4: 50, 8: 60}, 70)
    assert asked == [True, False]


def test_a_child_that_never_comes_back_has_measured_nothing(monkeypatch):
    def run_child(code, seconds):
        raise ChildError("its process was ended by SIGKILL")

    monkeypatch.setattr(peaks, "run_child", run_child)
    assert peaks_in_child(TASK, 30) == Peaks({})


def test_all_children_together_keep_to_the_time(monkeypatch):
    now, given = [100.0], []

    def run_child(code, seconds):
        given.append(seconds)
        now[0] += 20
        raise ChildError("no answer")

    monkeypatch.setattr(peaks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(peaks, "run_child", run_child)
    assert peaks_in_child(TASK, 30) == Peaks({})
    assert given == [30, 10]


class Peaked:
    """A bench whose memory is scripted."""

    index = 0

    def __init__(self, *peaks, full=False):
        self.backend, self.peaks, self.full, self.log = self, list(peaks), full, []

    def free(self):
        self.log.append("free")

    def reset_peak(self, index):
        self.log.append("reset")

    def peak_bytes(self, index):
        return self.peaks.pop(0)

    def is_out_of_memory(self, error):
        return isinstance(error, MemoryError)

    def forward(self, way, weights_format):
        self.log.append(weights_format)
        if self.full:
            raise MemoryError


def test_a_forward_pass_adds_to_what_stays():
    bench = Peaked(500, 620)
    assert added_by_forward(bench, None, "contiguous") == 120
    assert bench.log == ["free", "reset", "contiguous"]
    assert added_by_forward(Peaked(500, full=True), None, "contiguous") == 0
    assert added_by_forward(Peaked(None, None), None, "contiguous") == 0, "DirectML tells nothing"


@pytest.mark.slow
def test_a_real_child_measures_peaks_that_grow():
    found = peaks_in_child(TASK, 120)
    points = found.training
    assert list(points) == [4, 8, 16]
    assert found.evaluation >= 0
    assert 0 < points[4] <= points[8] <= points[16]
    assert fit(points).image_bytes >= 0
