"""A benchmark that a time limit ends has written what it measured before."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest

from lacewing.store.run import Run, append_line

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

ROWS = {
    "oom_sweep": ("one_job", ["--jobs", "2"], {"outcome": "done", "kept": True}),
    "plan_accuracy": ("one_run", [], {"error_s": -0.1, "error_memory": None}),
    "memory": ("compare", [], {"ratio": 0.5}),
    "small_cards": (
        "one_run",
        ["--quick", "--device", "cpu", "--caps", "2", "4"],
        {"outcome": "done"},
    ),
}


def load(name, monkeypatch):
    pytest.importorskip("resource")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    # the processes of tests make their own settings
    monkeypatch.setattr("lacewing.hardware.process.ready_process", lambda: None)
    return runpy.run_path(str(BENCHMARKS / f"{name}.py"))


@pytest.mark.parametrize("name", ROWS)
def test_each_row_is_written_when_it_is_there(name, monkeypatch, tmp_path):
    function, words, row = ROWS[name]
    names = load(name, monkeypatch)["main"].__globals__
    rows = iter([row])

    def measure(*_):
        try:
            return next(rows)
        except StopIteration:
            raise KeyboardInterrupt from None  # as a time limit ends it

    monkeypatch.setitem(names, function, measure)
    monkeypatch.setitem(names, "sample_folder", lambda folder: folder)
    monkeypatch.setattr(sys, "argv", [name, "--results", str(tmp_path), *words])
    with pytest.raises(KeyboardInterrupt):
        names["main"]()
    (file,) = tmp_path.glob(f"{name}_*.json")
    assert json.loads(file.read_text())["rows"] == [row]


def test_a_gpus_jobs_have_the_same_caps_on_every_card(monkeypatch):
    share_of = load("oom_sweep", monkeypatch)["share_of"]
    assert [share_of(2, card * 2**30) for card in (4, 80)] == [0.5, 0.025]
    assert share_of(8, 4 * 2**30) == 0.9


def test_a_training_on_a_small_card_is_told_by_its_run(monkeypatch, tmp_path):
    names, run = load("small_cards", monkeypatch), Run(tmp_path)
    took, is_fine = names["planned_and_taken"], names["is_fine"]
    refused = {"outcome": "refused", **took(run)}
    assert refused["tier"] is None and is_fine(refused)
    decisions = {name: {"value": 16} for name in (*names["PLANNED"], "memory_bytes")}
    decisions["memory_bytes"]["value"] = 2**30
    run.plan.write_text(json.dumps({"decisions": decisions}))
    run.results.write_text(json.dumps({"training": {"peak_bytes": 2**29}}))
    append_line(run.events, {"kind": "out-of-memory"})
    found = took(run)
    assert (found["micro_batch"], found["allowed_MiB"], found["peak_MiB"]) == (16, 1024, 512)
    assert found["ran_out"] == 1
    assert is_fine({"outcome": "done", **found})
    assert not is_fine({"outcome": "done", **found, "peak_MiB": 1025})
    assert not is_fine({"outcome": "stopped", **found})


@pytest.mark.parametrize(("device", "epochs"), [("cpu", 2), ("mps", 20)])
def test_a_gpus_forecast_is_of_more_epochs(device, epochs, monkeypatch, tmp_path):
    names = load("plan_accuracy", monkeypatch)["main"].__globals__
    asked = []
    row = {"error_s": 0.0, "error_memory": None}
    monkeypatch.setitem(names, "one_run", lambda _, __, flags: asked.append(flags.epochs) or row)
    words = ["--device", device, "--results", str(tmp_path), "--models", "vgg", "--sizes", "96"]
    monkeypatch.setattr(sys, "argv", ["plan_accuracy", *words])
    names["main"]()
    assert asked == [epochs]


def test_all_checks_of_a_gpu_end_within_ten_minutes():
    script = (BENCHMARKS / "gpu" / "run.sh").read_text()
    limits = re.findall(r"^(?:check|bench) (\d+) ", script, re.MULTILINE)
    (grace,) = re.findall(r"timeout -k (\d+) ", script)
    assert len(limits) == 8 and sum(map(int, [*limits, grace])) <= 600
