"""A run of another machine is judged by what this one can do."""

from lacewing.models.bundle import load_model
from lacewing.results import finish
from lacewing.results.finish import judge_of


def test_a_gpus_run_is_judged_on_the_cpu_without_pinned_memory(plan_on, finished_run, monkeypatch):
    plan = plan_on("h100_80gb")
    assert plan.pin_memory.value
    whole = finish.inspect
    monkeypatch.setattr(finish, "inspect", lambda device: whole("cpu"))
    judge = judge_of(load_model(finished_run.model), plan)
    assert judge.execution.device == "cpu"
    assert not judge.loading.pin_memory
    assert judge.batch <= 64
