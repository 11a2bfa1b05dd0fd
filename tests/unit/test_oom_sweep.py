"""How benchmarks/oom_sweep.py counts what became of its jobs."""

import json
import runpy
from pathlib import Path

import pytest

from lacewing.cli import RAN_OUT
from lacewing.store.run import Run, append_line

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def sweep(monkeypatch):
    pytest.importorskip("resource")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return runpy.run_path(str(BENCHMARKS / "oom_sweep.py"))


@pytest.mark.parametrize(
    ("code", "said", "outcome"),
    [
        (0, [], "done"),
        (2, ["error: resnet18 does not fit into the memory of cpu"], "refused"),
        (1, [f"error: {RAN_OUT}: close other programs"], "unexplained"),
        (1, ["error: cuda has too little memory for a single image"], "stopped"),
        (1, ["error: This is a fault of lacewing: KeyError"], "crashed"),
        (1, [], "crashed"),
        (134, ["error: anything"], "crashed"),
        (134, [f"error: {RAN_OUT}: close other programs"], "crashed"),
    ],
)
def test_an_outcome_is_told_by_code_and_sentence(sweep, code, said, outcome):
    assert sweep["outcome_of"](code, said) == outcome


@pytest.mark.parametrize(
    ("outcome", "kept", "fine"),
    [
        ("done", True, True),
        ("done", False, False),
        ("refused", None, True),
        ("stopped", None, False),
        ("unexplained", None, False),
        ("crashed", None, False),
    ],
)
def test_a_job_is_fine_that_was_refused_or_done_as_asked(sweep, outcome, kept, fine):
    assert sweep["is_fine"]({"outcome": outcome, "kept": kept}) is fine


def test_the_batch_is_judged_by_the_steps_that_were_done(sweep, tmp_path):
    run, kept = Run(tmp_path), sweep["batch_was_kept"]
    run.dataset.write_text(json.dumps({"images": {"train": 100}}))
    append_line(run.events, {"kind": "out-of-memory", "field": "micro_batch"})
    append_line(run.metrics, {"epoch": 1, "step": 6})
    assert kept(tmp_path, 16)
    assert not kept(tmp_path, 8)
    append_line(run.metrics, {"epoch": 1, "step": 1})
    assert kept(tmp_path, 256), "all images, where more were asked for"
    append_line(run.events, {"kind": "moved", "field": "batch"})
    assert not kept(tmp_path, 256)
