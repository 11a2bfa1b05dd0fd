"""Peaks of memory in a child process, which may be ended."""

import json
from dataclasses import asdict

import pytest

from lacewing.hardware.child import ChildError
from lacewing.planning.trial import peaks
from lacewing.planning.trial.memory import fit
from lacewing.planning.trial.peaks import (
    Deadline,
    Peaks,
    Task,
    added_by_forward,
    measure,
    peaks_in_child,
    sizes_for,
    two_steps,
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
        return {"training": {"4": 50, "8": 60}, "eval_image_bytes": 7.5}

    monkeypatch.setattr(peaks, "run_child", run_child)
    assert peaks_in_child(TASK, 30) == Peaks({4: 50, 8: 60}, 7.5)
    assert asked == [True, False]


def test_a_child_that_never_comes_back_has_measured_nothing(monkeypatch):
    def run_child(code, seconds):
        raise ChildError("its process was ended by SIGKILL")

    monkeypatch.setattr(peaks, "run_child", run_child)
    assert peaks_in_child(TASK, 30) == Peaks({})


def test_a_child_offers_itself_to_the_out_of_memory_killer_before_it_takes_memory(monkeypatch):
    acts = []
    monkeypatch.setattr(peaks, "be_ended_first", lambda: acts.append("offered"))
    monkeypatch.setattr(peaks, "measure", lambda *_: acts.append("measured") or Peaks({}))
    peaks.report_peaks(lambda _: None, json.dumps(asdict(TASK)), 0.0)
    assert acts == ["offered", "measured"]


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


@pytest.mark.parametrize("seconds", [-1.0, 0.5, 3.0])
def test_no_child_is_begun_that_could_but_report(monkeypatch, seconds):
    monkeypatch.setattr(peaks, "run_child", None)  # must not be called
    assert peaks_in_child(TASK, seconds) == Peaks({})


def test_a_child_is_told_when_to_report_before_it_is_ended(monkeypatch):
    told = []

    def run_child(code, seconds):
        told.append(float(code.rpartition(", ")[2].rstrip(")")))
        return {"training": {"4": 50}, "eval_image_bytes": 0.0}

    monkeypatch.setattr(peaks.time, "time", lambda: 1000.0)
    monkeypatch.setattr(peaks, "run_child", run_child)
    peaks_in_child(TASK, 30)
    assert told == [1027.0]


@pytest.mark.parametrize(
    ("until", "sizes"), [(-1, []), (10, [4]), (30, [4, 8]), (39, [4, 8]), (40, [4, 8, 16])]
)
def test_what_is_measured_in_time_is_reported(until, sizes):
    """10 s for 4 images, so 20 expected for 8; these take 10 too, and then 20 for 16."""
    now = iter([0.0, 10.0, 20.0, 40.0])
    deadline = Deadline(until, clock=lambda: next(now))
    assert list(measure(TASK, deadline).training) == sizes


def test_no_pass_begins_that_would_be_late_though_one_before_was_refused():
    now = iter([0.0, 10.0, 11.0, 12.0])
    deadline = Deadline(20.0, clock=lambda: next(now))
    assert [deadline.allows(images) for images in (4, 8, 5, 3)] == [True, False, False, True]


class Peaked:
    """A bench whose memory is scripted."""

    index = 0

    def __init__(self, *peaks, most=99, kind="cuda"):
        self.kind = kind
        self.backend, self.peaks, self.most, self.log = self, list(peaks), most, []
        self.optimizers, self.state = {}, {}

    def optimizer(self, way):
        return self

    def free(self):
        self.log.append("free")

    def reset_peak(self, index):
        self.log.append("reset")

    def peak_bytes(self, index):
        return self.peaks.pop(0)

    def is_out_of_memory(self, error):
        return isinstance(error, MemoryError)

    def train(self, way):
        self.log.append(f"{way.images}")
        if way.images > self.most:
            raise MemoryError

    def forward(self, way, weights_format):
        self.log.append(f"{way.images} {weights_format}")
        if way.images > self.most:
            raise MemoryError


@pytest.mark.parametrize(("kind", "before"), [("cuda", ["8", "free", "reset"]), ("cpu", ["reset"])])
def test_what_a_search_and_smaller_passes_left_on_a_device_is_no_part_of_the_peak(
    way, kind, before
):
    bench = Peaked(900, kind=kind)
    assert two_steps(bench, way(images=8)) == 900
    assert bench.log == [*before, "8", "8"]


def test_where_the_optimiser_has_a_state_a_single_step_on_the_cpu_tells(way):
    """A device's memory is given back between sizes, and a first step lays it out anew."""
    bench = Peaked(900, kind="cpu")
    bench.state = {"weight": "moments"}
    assert two_steps(bench, way(images=8)) == 900
    assert bench.log == ["reset", "8"]
    bench = Peaked(900)
    bench.state = {"weight": "moments"}
    assert two_steps(bench, way(images=8)) == 900
    assert bench.log == ["8", "free", "reset", "8", "8"]


def test_a_size_whose_search_finds_no_memory_has_no_peak(way):
    bench = Peaked(most=7)
    assert two_steps(bench, way(images=8)) is None
    assert bench.log == ["8"]


def test_each_image_of_a_forward_pass_adds_to_what_stays(way):
    bench = Peaked(500, 620, kind="cpu")
    assert added_by_forward(bench, way(images=12), "contiguous") == 10
    assert bench.log == ["free", "reset", "12 contiguous"]
    silent = Peaked(None, None)
    assert added_by_forward(silent, way(images=12), "contiguous") == 0, "DirectML tells nothing"


def test_a_forward_pass_that_is_too_large_is_halved_until_it_runs(way):
    """0 would say that any number of images fits."""
    bench = Peaked(500, 530, most=3)
    assert added_by_forward(bench, way(images=13), "contiguous") == 10
    assert bench.log[-3:] == ["free", "reset", "3 contiguous"]
    on_cpu = Peaked(500, 500, 500, 530, most=3, kind="cpu")
    assert added_by_forward(on_cpu, way(images=13), "contiguous") == 10
    assert on_cpu.log[-3:] == ["free", "reset", "3 contiguous"]
    for kind in ("cuda", "cpu"):
        bench = Peaked(5, 5, most=0, kind=kind)
        assert added_by_forward(bench, way(images=2), "contiguous") == 0


def test_what_a_forward_pass_adds_is_without_its_search_on_a_device(way):
    bench = Peaked(500, 620)
    assert added_by_forward(bench, way(images=12), "contiguous") == 10
    assert bench.log == ["free", "12 contiguous", "free", "reset", "12 contiguous"]


@pytest.mark.slow
def test_a_real_child_measures_peaks_that_grow():
    found = peaks_in_child(TASK, 120)
    points = found.training
    assert list(points) == [4, 8, 16]
    assert found.eval_image_bytes >= 0
    assert 0 < points[4] <= points[8] <= points[16]
    assert fit(points).image_bytes >= 0
