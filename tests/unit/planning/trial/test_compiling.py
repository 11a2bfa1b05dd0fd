"""torch.compile in the trial: tried where it is likely to pay, and timed beside plain passes."""

import re
from dataclasses import replace

import pytest
import torch

from lacewing.config import TrainConfig
from lacewing.engine.prepare import CompiledModel
from lacewing.hardware.fake import FakeBackend, Faults
from lacewing.performance_config import TIERS
from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.compiling import likely_payback
from lacewing.planning.trial.findings import CompileTime
from lacewing.planning.trial.history import compile_seconds
from lacewing.planning.trial.measure import is_enough, measure
from lacewing.training.setup import job_of
from lacewing.values import Choice


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(10_000, ["cudagraphs", "reduce-overhead", "default"]), (1000, ["cudagraphs"]), (100, [])],
)
def test_each_mode_that_is_likely_to_pay_is_timed_and_the_network_left_as_it_was(
    scene, monkeypatch, epochs, expected
):
    """Steps of 0.1 s, three an epoch, of which a quarter may be saved; a compiler takes 60 s."""
    made = scene(
        FakeBackend(faults=Faults(seconds={"fp32": 0.1})), precision="fp32", epochs=epochs,
        plan_budget=1000.0,
    )  # fmt: skip
    tried, kept = [], []

    def compile_model(network, mode, say):
        tried.append(mode)
        kept.append(network)
        made.fake.now += {"default": 5.0, "reduce-overhead": 7.0, "cudagraphs": 2.0}[mode]
        return CompiledModel(network, network, say)

    def reset():
        made.fake.calls.append("reset")
        # those of a pass lie in the memory of its graph
        assert all(weight.grad is None for weight in kept[-1].parameters())

    monkeypatch.setattr("lacewing.planning.trial.compiling.compile_model", compile_model)
    monkeypatch.setattr("lacewing.planning.rules.compile.is_possible", lambda *_: True)
    monkeypatch.setattr(torch.compiler, "reset", reset)
    made.fake.capabilities = replace(made.fake.capabilities, compile=True)
    found = made.measure(compile=Choice("off", "", "rule"))
    assert tried == expected == [one.mode for one in found.compile_tried]
    assert made.fake.calls.count("reset") == len(tried)
    if tried:
        assert made.fake.calls[made.fake.calls.index("reset") + 1] == "empty_cache"
        assert found.compile_tried[0].cost_seconds == pytest.approx(2.0, abs=0.5)
        assert found.compile_tried[0].pass_seconds == pytest.approx(0.1)


@pytest.fixture
def compiled_as(scene, monkeypatch):
    """`compiled_as(form)`: the trial's one try of compiling, whose result `form(network)` runs."""

    def try_it(form, **fields):
        fake = FakeBackend(faults=Faults(seconds={"fp32": 0.1}))
        made = scene(fake, precision="fp32", epochs=10_000, plan_budget=1000.0, **fields)
        made.fake.capabilities = replace(
            made.fake.capabilities, compile=True, compile_modes=("default",)
        )

        def compile_model(network, mode, say):
            return CompiledModel(network, form(network, made.fake), say)

        monkeypatch.setattr("lacewing.planning.trial.compiling.compile_model", compile_model)
        monkeypatch.setattr("lacewing.planning.rules.compile.is_possible", lambda *_: True)
        return made.measure(compile=Choice("off", "", "rule")).compile_tried[0]

    return try_it


def test_a_compiled_pass_is_held_against_plain_ones_of_the_same_moment(compiled_as):
    """The device has become slower since the race: compiling must not seem a loss by that."""

    def form(network, fake):
        fake.faults = replace(fake.faults, seconds={"fp32": 0.4})
        return network

    found = compiled_as(form)
    assert found.pass_seconds == pytest.approx(0.4)
    assert found.plain_seconds == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("factor", "dropout", "is_out"),
    [(1.0, 0.0, False), (1e3, 0.0, True), (float("nan"), 0.0, True), (1.0, 0.5, False),
     (float("nan"), 0.5, True)],
)  # fmt: skip
def test_a_compiled_network_with_another_loss_is_out(compiled_as, factor, dropout, is_out):
    found = compiled_as(lambda network, _: lambda images: factor * network(images), dropout=dropout)
    assert (found.pass_seconds is None) is is_out
    if is_out:
        assert re.fullmatch(r"its loss is \S+, and \S+ without it", found.out)
    else:
        assert found.out == ""


def test_it_is_compiled_for_the_passes_that_the_run_will_have(compiled_as, monkeypatch):
    """Not for the race's, of 8 images here; the seconds are told of a pass of as many as those."""
    sizes = []

    def form(network, _):
        network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
        return network

    def sized_plan(trial, findings):
        return replace(trial.plan, micro_batch=Choice(4, "", "measured"))

    monkeypatch.setattr("lacewing.planning.trial.measure.sized_plan", sized_plan)
    found = compiled_as(form)
    assert set(sizes) == {4}
    assert (found.pass_seconds, found.plain_seconds) == pytest.approx((0.2, 0.2))
    monkeypatch.setattr("lacewing.planning.trial.measure.sized_plan", lambda *_: None)
    sizes.clear()
    compiled_as(form)
    assert set(sizes) == {8}, "where no image fits, as the rules have it"


@pytest.mark.parametrize("works", [True, False])
def test_what_a_compiler_takes_to_fail_is_no_cost_of_compiling(scene, monkeypatch, works):
    made = scene(FakeBackend(faults=Faults(seconds={"fp32": 0.1})), precision="fp32", epochs=10_000)

    def compile_model(network, mode, say):
        made.fake.now += 2.0
        return CompiledModel(network, network, say) if works else network

    monkeypatch.setattr("lacewing.planning.trial.compiling.compile_model", compile_model)
    monkeypatch.setattr("lacewing.planning.rules.compile.is_possible", lambda *_: True)
    made.fake.capabilities = replace(
        made.fake.capabilities, compile=True, compile_modes=("default",)
    )
    found = made.measure(compile=Choice("off", "", "rule"))
    assert [one.pass_seconds is not None for one in found.compile_tried] == [works]
    known = compile_seconds(made.plan, made.machine, made.config.model, "default")
    assert known == (pytest.approx(2.0, abs=0.5) if works else None)
    assert found.compile_cost_seconds == ({"default": known} if works else {})


@pytest.mark.parametrize(("compiles", "epochs", "times"), [(True, 10_000, 1), (True, 100, 0),
                                                           (False, 10_000, 0)])  # fmt: skip
def test_compiling_is_tried_where_the_tier_and_a_long_runs_share_allow_it(
    scene, monkeypatch, compiles, epochs, times
):
    """A pass of 5 s: the rest of the trial has more than the usual two minutes."""
    made = scene(FakeBackend(faults=Faults(seconds={"fp32": 5.0})), precision="fp32", epochs=epochs)
    tried = []

    def compile_model(network, mode, say):
        tried.append(mode)
        return CompiledModel(network, network, say)

    monkeypatch.setattr("lacewing.planning.trial.compiling.compile_model", compile_model)
    monkeypatch.setattr("lacewing.planning.rules.compile.is_possible", lambda *_: True)
    made.fake.capabilities = replace(
        made.fake.capabilities, compile=True, compile_modes=("default",)
    )
    tier = replace(TIERS["high"], compile=compiles)
    job = job_of(made.config, made.work.info, None, made.work.index)
    modes = ("default",) if compiles else ()
    found = measure(
        made.plan, made.config, made.machine, job, tier, made.work, made.backends,
        clock=lambda: made.fake.now,
    )  # fmt: skip
    assert is_enough(found, made.plan, made.config, made.machine, job, modes), (
        "the same would come of it"
    )
    assert len(tried) == len(found.compile_tried) == times
    if epochs == 10_000:
        assert found.compile_left_seconds > 1000
    else:
        assert found.compile_left_seconds < 60


@pytest.mark.parametrize(
    ("changes", "epochs", "modes", "is_one"),
    [
        ({}, 100, ("default",), False),
        ({}, 100, (), True),
        ({"seconds": 95.0}, 100, ("default",), True),
        (
            {"compile_tried": (CompileTime(cost_seconds=50.0, pass_seconds=None),)},
            100,
            ("default",),
            True,
        ),
        ({}, 1, ("default",), True),
        ({}, 10, ("default",), True),
        ({}, 10, ("cudagraphs", "default"), False),
    ],
    ids=[
        "time now",
        "not open",
        "too little time now too",
        "tried",
        "a short run",
        "short for a compiler",
        "not for graphs",
    ],
)
def test_a_look_without_time_to_compile_does_not_stand_for_one_that_has_it(
    plan_on, recorded, make_job, found, tmp_path, monkeypatch, changes, epochs, modes, is_one
):
    """It takes a minute: of 100 s one look left 55, of 150 s another would leave 105."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path))
    words = {"epochs": epochs, "plan_budget": 150.0}
    looked = found(**{"seconds": 45.0, "allowed_seconds": 100.0, **changes})
    plan, machine = plan_on("cpu_2core_24gb", **words), recorded("cpu_2core_24gb")
    assert is_enough(looked, plan, TrainConfig(**words), machine, make_job(), modes) is is_one


@pytest.mark.parametrize(("run_seconds", "saved"), [(float("inf"), 5000.0), (3600.0, 360.0)])
def test_compiling_is_worth_trying_for_what_the_budget_holds(
    plan_on, recorded, found, tmp_path, monkeypatch, run_seconds, saved
):
    """A million images take 50,000 s, of which a CPU is likely to save a tenth."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path))
    budget = Budget(lambda: 0.0, images=1_000_000, run_seconds=run_seconds)
    here = plan_on("cpu_2core_24gb"), recorded("cpu_2core_24gb")
    likely = likely_payback(*here, "resnet18", found().best, budget, "default")
    assert likely.saving_seconds == pytest.approx(saved)
