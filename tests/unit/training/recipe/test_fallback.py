"""Classic training in the place of a recipe: its length is the budget's."""

from dataclasses import replace
from pathlib import Path

import pytest

from lacewing.config import TrainConfig
from lacewing.planning.measured import Measured
from lacewing.training.recipe.fallback import (
    MOST_EPOCHS,
    epochs_in,
    with_epochs_fitted,
    with_epochs_open,
)
from lacewing.training.setup import prepare

FORECAST = {
    "first_epoch_seconds": 20.0,
    "epoch_seconds": 10.0,
    "epochs": 10.0,
    "judge_seconds": 4.0,
    "run_seconds": 114.0,
}


@pytest.mark.parametrize(
    ("seconds", "epochs"), [(-5, 1), (20, 1), (20.1, 2), (30, 2), (31, 3), (1e9, MOST_EPOCHS)]
)
def test_the_last_epoch_is_the_one_that_the_clock_ends(seconds, epochs):
    assert epochs_in(seconds, 20.0, 10.0) == epochs


@pytest.fixture
def prepared(small):
    """`prepared(asked, **fields)`: decided classically, with a forecast."""

    def make(asked, forecast=FORECAST, **fields):
        epochs = TrainConfig().epochs
        found = prepare(small(recipe="classic", epochs=epochs, patience=10, **fields))
        plan = replace(found.plan, measured=Measured(forecast=forecast))
        return replace(found, asked=replace(found.config, recipe=asked), plan=plan)

    return make


def test_auto_without_a_recipe_trains_for_as_long_as_the_budget(prepared):
    # 198 s but for 18 gone, 6 for the report and 4 for judging: 20 and 15 times 10
    found = with_epochs_fitted(prepared("auto", budget=200.0), spent=18.0)
    assert (found.config.epochs, found.config.patience) == (16, 0)
    assert found.plan.measured.forecast["epochs"] == 16
    assert found.plan.measured.forecast["run_seconds"] == 174.0
    assert found.plan.notes[-1] == "16 epochs: as many as the budget has time for."


def test_a_run_that_is_not_judged_has_that_time_for_epochs(prepared):
    # 174 s: 20 and 16 times 10, of which the clock ends the last
    given = prepared("auto", forecast=FORECAST | {"judge_seconds": 0.0}, budget=200.0)
    found = with_epochs_fitted(given, spent=18.0)
    assert found.config.epochs == 17
    assert found.plan.measured.forecast["run_seconds"] == 180.0


def test_a_search_for_the_rate_has_its_time_too(prepared):
    # of 170 s the climb takes a tenth: 17
    found = with_epochs_fitted(prepared("auto", budget=200.0, learning_rate="auto"), spent=18.0)
    assert found.config.epochs == 15


def test_a_budget_without_time_for_an_epoch_is_called_so(prepared):
    found = with_epochs_fitted(prepared("auto", budget=40.0), spent=18.0)
    assert found.config.epochs == 1
    assert "no time for a whole epoch" in found.plan.notes[-1]


@pytest.mark.parametrize(("asked", "budget"), [("classic", 200.0), ("auto", None)])
def test_what_the_flags_say_stays(prepared, asked, budget):
    given = prepared(asked, budget=budget)
    assert with_epochs_open(given) is given
    assert with_epochs_fitted(given, spent=18.0) is given


@pytest.mark.parametrize("forecast", [{}, {"epoch_seconds": 1.0}, FORECAST])
def test_without_a_forecast_of_its_own_the_clock_ends_training(prepared, forecast):
    given = prepared("auto", forecast=forecast, budget=200.0)
    if forecast:  # of a plan file, which may be of other images on another machine
        given = replace(given, config=replace(given.config, plan=Path("plan.yaml")))
    found = with_epochs_fitted(with_epochs_open(given), spent=18.0)
    assert (found.config.epochs, found.config.patience) == (MOST_EPOCHS, 0)
    assert found.plan.notes[-1] == "Up to 300 epochs: until the budget's time is used up."


@pytest.mark.parametrize("flag", ["progressive_resizing", "gradual_unfreezing"])
def test_what_goes_by_the_epoch_has_the_usual_ones(prepared, flag):
    given = prepared("auto", budget=200.0, image_size=64)
    given = replace(given, config=replace(given.config, pretrained=True, **{flag: True}))
    assert with_epochs_open(given) is given
