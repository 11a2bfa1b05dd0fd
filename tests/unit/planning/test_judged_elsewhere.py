"""A run of another machine is judged by what this one can do."""

from dataclasses import replace

import torch

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


def test_a_model_is_judged_with_its_weights_in_the_format_of_the_plan(
    plan_on, finished_run, monkeypatch
):
    plan = plan_on("cpu_2core_24gb")
    memory_format = replace(plan.eval_memory_format, value="channels_last")
    plan = replace(plan, eval_memory_format=memory_format)
    whole = finish.inspect
    monkeypatch.setattr(finish, "inspect", lambda device: whole("cpu"))
    model = judge_of(load_model(finished_run.model), plan).model
    weights = [weight for weight in model.parameters() if weight.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
