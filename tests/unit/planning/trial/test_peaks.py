"""Peaks of memory in a child process, which may be ended."""

import pytest

from lacewing.hardware.child import ChildError
from lacewing.planning.trial import peaks
from lacewing.planning.trial.memory import fit
from lacewing.planning.trial.peaks import Task, peaks_in_child, sizes_for

TASK = Task(
    model="test_resnet",
    classes=3,
    image_size=64,
    optimizer="sgd",
    way={"precision": "fp32", "memory_format": "contiguous", "kernel": "plain", "threads": 1},
    sizes=(4, 8, 16),
    allowed=None,
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
        asked.append("16" in code)
        if asked[-1]:
            raise ChildError("its process was ended by SIGKILL")
        return {"training": {"4": 50, "8": 60}, "evaluation": None}

    monkeypatch.setattr(peaks, "run_child", run_child)
    assert peaks_in_child(TASK).training == {4: 50, 8: 60}
    assert asked == [True, False]


def test_a_child_that_never_comes_back_has_measured_nothing(monkeypatch):
    def run_child(code, seconds):
        raise ChildError("its process was ended by SIGKILL")

    monkeypatch.setattr(peaks, "run_child", run_child)
    assert peaks_in_child(TASK).training == {}


@pytest.mark.slow
def test_a_real_child_measures_peaks_that_grow():
    points = peaks_in_child(TASK).training
    assert list(points) == [4, 8, 16]
    assert 0 < points[4] <= points[8] <= points[16]
    assert fit(points).image_bytes >= 0
