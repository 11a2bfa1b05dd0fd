"""What benchmarks/plan_speed.py compares, and that its result grows with each model."""

import json
import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    # the processes of tests make their own settings
    monkeypatch.setattr("lacewing.hardware.process.ready_process", lambda: None)
    return runpy.run_path(str(BENCHMARKS / "plan_speed.py"))


def test_on_cuda_the_plain_loop_is_torchs_own_and_one_without_tf32_stands_beside_it(speed):
    assert speed["plain_loops"]("cpu") == {"plain": []}
    assert speed["plain_loops"]("cuda") == {"plain": [], "plain, no TF32": ["full"]}


def test_results_are_written_after_each_model_and_the_images_are_looked_at_once(
    speed, monkeypatch, tmp_path
):
    main, looked, met = speed["main"], [], []

    def compare(task, flags, seen):
        if met:
            raise KeyboardInterrupt  # as a time limit ends it
        met.append((task.model, task.batch, task.plan_budget, seen))
        rates = {"plain": 1.0, "planned": 2.0}
        return {"model": task.model, "batch": task.batch, "images_per_second": rates,
                "ratio": 2.0, "ratio_without_tf32": None, "memory": None, "way": "",
                "compile": ""}  # fmt: skip

    monkeypatch.setitem(main.__globals__, "compare", compare)
    monkeypatch.setitem(main.__globals__, "look", lambda *_: looked.append("images") or "seen")
    words = ["--quick", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["plan_speed.py", *words])
    with pytest.raises(KeyboardInterrupt):
        main()
    (file,) = tmp_path.glob("plan_speed_*.json")
    assert [row["model"] for row in json.loads(file.read_text())["rows"]] == ["test_resnet"]
    assert met == [("test_resnet", 8, "3s", "seen")] and looked == ["images"]


def test_a_model_that_fails_is_told_and_the_others_go_on(speed, monkeypatch, tmp_path, capsys):
    main = speed["main"]

    def compare(task, flags, seen):
        if task.model == "test_resnet":
            raise RuntimeError("a kernel was refused")
        return {"model": task.model, "batch": task.batch, "ratio": 2.0, "ratio_without_tf32": None,
                "images_per_second": {"plain": 1.0, "planned": 2.0}, "memory": None, "way": "",
                "compile": ""}  # fmt: skip

    monkeypatch.setitem(main.__globals__, "compare", compare)
    monkeypatch.setitem(main.__globals__, "look", lambda *_: "seen")
    monkeypatch.setattr(sys, "argv", ["plan_speed.py", "--quick", "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (file,) = tmp_path.glob("plan_speed_*.json")
    written = json.loads(file.read_text())
    assert written["failed"] == {"test_resnet:8": "RuntimeError: a kernel was refused"}
    assert [row["model"] for row in written["rows"]] == ["test_convnext"]
    assert written["geometric_mean"] == 2.0
    assert "test_resnet:8 failed, RuntimeError" in capsys.readouterr().out


def test_a_model_may_name_its_batch_and_the_last_budget_is_that_of_all_others(speed):
    class Flags:
        models, batch, plan_budget = ["resnet50", "resnet18:32", "vgg"], 256, ["200s", "9s"]

    tasks = [(one.model, one.batch, one.plan_budget) for one in speed["tasks_of"](Flags)]
    assert tasks == [("resnet50", 256, "200s"), ("resnet18", 32, "9s"), ("vgg", 256, "9s")]
