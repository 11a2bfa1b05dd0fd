"""The learning-rate search."""

import math
from dataclasses import replace
from itertools import count, pairwise
from types import SimpleNamespace

import pytest
import torch

from lacewing.config import TrainConfig
from lacewing.errors import TrainingError
from lacewing.planning.document import load_plan
from lacewing.store.run import read_json
from lacewing.training import rate_finder
from lacewing.training.begin import reopen
from lacewing.training.bookkeeping import checkpoint
from lacewing.training.loop import train
from lacewing.training.rate_finder import (
    LEAST_STEPS,
    SHARE,
    SMOOTHING,
    SPAN,
    diverged,
    rising,
    running_means,
    search_if_asked,
    search_seconds,
    valley,
)
from lacewing.training.recipe import carry_out
from lacewing.training.recipe.carry_out import train_classic


def test_rates_rise_in_equal_ratios_around_the_middle():
    rates = rising(0.01)
    assert rates[0] == pytest.approx(0.01 / SPAN)
    assert rates[-1] == pytest.approx(0.01 * SPAN)
    ratios = [two / one for one, two in pairwise(rates)]
    assert max(ratios) == pytest.approx(min(ratios))


def test_running_means_have_no_bias_and_end_before_what_is_not_finite():
    assert running_means([2.0, 2.0, 2.0]) == pytest.approx([2.0] * 3)
    first, second = running_means([1.0, 4.0, math.inf, 1.0])
    assert first == pytest.approx(1.0)
    assert second == pytest.approx((SMOOTHING * 1 + 4) / (1 + SMOOTHING))


def test_the_valley_is_in_the_middle_of_the_longest_fall():
    assert valley([5, 5, 5, 4, 3, 2, 1, 9, 9]) == 4
    assert valley([5, 4, 4.5, 3, 2, 8]) == 3, "a bump does not end it"
    assert valley([5]) == 0


@pytest.mark.parametrize("losses", [[1.0, math.nan], [1.0, 1.0, 30.0]])
def test_a_diverging_loss_ends_the_climb(losses):
    assert diverged(losses)
    assert not diverged([1.0, 1.2, 0.9])


def test_the_search_leaves_no_trace_but_the_rate(begun):
    session = begun(learning_rate="auto", dropout=0.2, ema=0.9)
    before = {name: value.clone() for name, value in session.model.state_dict().items()}
    search_if_asked(session)
    assert all(torch.equal(v, before[n]) for n, v in session.model.state_dict().items())
    assert all(torch.equal(v, before[n]) for n, v in session.average.state.items())
    assert not session.optimizer.state
    assert session.progress.step == 0
    found = read_json(session.run.rates)
    assert found["chosen"] in found["rates"]
    assert len(found["rates"]) == len(found["losses"])
    choice = load_plan(session.run.plan).learning_rate
    assert (choice.value, choice.source) == (found["chosen"], "measured")
    assert train(session).finished


def test_without_a_finite_loss_the_plans_rate_stays_and_it_is_said(begun, capsys):
    session = begun(learning_rate="auto")
    session.loss = lambda logits, labels: logits.sum() * math.nan
    planned = session.plan.learning_rate
    search_if_asked(session)
    assert session.plan.learning_rate == planned
    assert not session.run.rates.exists()
    assert "the loss is not finite at the lowest rate" in capsys.readouterr().err
    with pytest.raises(TrainingError, match="The loss became nan"):
        train(session)


def test_without_auto_there_is_no_search(begun):
    session = begun()
    search_if_asked(session)
    assert not session.run.rates.exists()


def test_a_run_resumed_at_its_first_step_has_its_rate_already(begun, monkeypatch):
    session = begun(learning_rate="auto", epochs=1)
    searched = []
    monkeypatch.setattr(carry_out, "search_if_asked", searched.append)
    monkeypatch.setattr(carry_out, "train_loop", checkpoint)
    with session.keeper:
        train_classic(session, None)
    resumed = reopen(session.run.folder)
    assert resumed.progress.step == 0
    train_classic(resumed, None)
    assert searched == [session]


@pytest.fixture
def a_second_a_step(monkeypatch):
    ticks = count()
    monkeypatch.setattr(rate_finder, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    monkeypatch.setattr(rate_finder, "diverged", lambda _: False)


def test_a_climb_that_is_late_goes_over_all_rates_in_fewer_steps(begun, a_second_a_step):
    session = begun(learning_rate="auto")
    middle = session.plan.learning_rate.value
    session.deadline = 30 / SHARE
    search_if_asked(session)
    rates = read_json(session.run.rates)["rates"]
    assert LEAST_STEPS < len(rates) < 30
    assert rates[0] < middle / 100 < middle * 100 < rates[-1]
    assert session.plan.learning_rate.source == "measured"


@pytest.mark.parametrize("seconds", [-1, 10])
def test_without_time_for_the_climb_the_plans_rate_stays_and_it_is_said(
    begun, a_second_a_step, capsys, seconds
):
    session = begun(learning_rate="auto")
    planned = session.plan.learning_rate
    session.deadline = seconds / SHARE
    search_if_asked(session)
    assert session.plan.learning_rate == planned
    assert session.progress.step == 0
    assert "the search chooses none, and the plan's stays" in capsys.readouterr().err


def test_the_search_takes_a_share_of_the_time_at_the_most():
    auto = TrainConfig(learning_rate="auto")
    assert search_seconds(auto, 0.5, 1000.0) == 30.0
    assert search_seconds(auto, 0.5, 100.0) == pytest.approx(SHARE * 100)
    assert search_seconds(auto, 0.5, -100.0) == 0.0
    assert search_seconds(TrainConfig(), 0.5, 1000.0) == 0.0


def test_beside_a_plan_file_its_rate_stays(begun):
    """Auto leaves the decision to the plan."""
    session = begun(learning_rate="auto")
    planned = session.plan
    session.config = replace(session.config, plan=session.run.plan)
    search_if_asked(session)
    assert session.plan is planned
    assert not session.run.rates.exists()
    assert search_seconds(session.config, 1.0, 1000.0) == 0.0
