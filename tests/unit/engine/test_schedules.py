"""Schedules: warm-up, state, edges (values against torch's: tests/contract/test_schedules.py)."""

import math

import pytest
import torch
from torch import nn

from lacewing.engine.schedules import (
    Plateau,
    learning_rate_of,
    make_schedule,
    set_learning_rate,
    warmup,
)


def test_warm_up_is_linear_and_ends_at_one():
    assert [warmup(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert warmup(0, 0) == 1.0


def test_warm_up_multiplies_the_shape():
    cold = make_schedule("cosine", steps_per_epoch=10, epochs=4)
    warm = make_schedule("cosine", steps_per_epoch=10, epochs=4, warmup_epochs=0.5)
    for step in range(40):
        assert warm.factor(step) == cold.factor(step) * min(1, (step + 1) / 5)


def test_a_fraction_of_an_epoch_between_drops():
    schedule = make_schedule("steplr", steps_per_epoch=10, epochs=2, step_epochs=0.5)
    assert [schedule.factor(step) for step in (0, 4, 5, 9, 10)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01]
    )


def test_gamma_is_the_users_where_given():
    def at_20(name, **options):
        return make_schedule(name, steps_per_epoch=10, epochs=4, **options).factor(20)

    assert at_20("steplr", gamma=0.5, step_epochs=1) == 0.25
    assert at_20("expdecay", gamma=0.5) == 0.25
    assert at_20("expdecay") == pytest.approx(0.96**2)


@pytest.mark.parametrize("name", ["cosine", "onecycle"])
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_short_runs_have_finite_factors(name, epochs):
    schedule = make_schedule(name, steps_per_epoch=1, epochs=epochs)
    factors = [schedule.factor(step) for step in range(epochs + 2)]
    assert all(0 <= factor <= 1 for factor in factors)


def test_cosine_does_not_rise_again_after_the_end():
    schedule = make_schedule("cosine", steps_per_epoch=5, epochs=2)
    assert schedule.factor(10) == schedule.factor(17) == 0.0


def test_plateau_drops_after_more_than_its_patience():
    schedule = Plateau(0.1, 0)
    schedule.observe(1.0)
    for _ in range(5):
        schedule.observe(1.0)
    assert schedule.factor(0) == 1.0
    schedule.observe(1.0)
    assert schedule.factor(0) == pytest.approx(0.1)


def test_a_loss_that_is_not_a_number_counts_as_no_gain():
    schedule = Plateau(0.1, 0, patience=0)
    schedule.observe(math.nan)
    assert schedule.drops == 1


def test_plateau_goes_on_where_it_was_saved():
    losses = [1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.5, 0.6]
    straight, first = Plateau(0.5, 3), Plateau(0.5, 3)
    for loss in losses[:5]:
        first.observe(loss)
    second = make_schedule("plateau", steps_per_epoch=3, epochs=9, warmup_epochs=1, gamma=0.5)
    second.load_state_dict(first.state_dict())
    for loss in losses:
        straight.observe(loss)
    for loss in losses[5:]:
        second.observe(loss)
    assert second == straight and straight.drops == 1


def test_set_learning_rate_honours_a_groups_scale():
    first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    optimizer = torch.optim.SGD(
        [{"params": first.parameters()}, {"params": second.parameters(), "lr_scale": 0.1}], lr=9.0
    )
    set_learning_rate(optimizer, 2.0, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]
    assert learning_rate_of(optimizer) == 0.5


def test_the_common_rate_is_told_without_a_groups_scale():
    optimizer = torch.optim.SGD([{"params": nn.Linear(1, 1).parameters(), "lr_scale": 0.25}], lr=9)
    set_learning_rate(optimizer, 2.0, 0.5)
    assert learning_rate_of(optimizer) == 1.0


def test_the_scale_of_a_first_layer_may_be_too_small_to_divide_by():
    first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    optimizer = torch.optim.SGD(
        [{"params": first.parameters(), "lr_scale": 0.0}, {"params": second.parameters()}], lr=9.0
    )
    set_learning_rate(optimizer, 2.0, 0.25)
    assert learning_rate_of(optimizer) == 0.5
