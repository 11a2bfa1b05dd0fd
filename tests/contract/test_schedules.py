"""Every schedule against torch's own, value by value."""

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as judge

from lacewing.config import SCHEDULERS
from lacewing.engine.schedules import SHAPES, make_schedule

STEPS, EPOCHS = 7, 12
TOTAL = STEPS * EPOCHS


def torchs(make):
    """The factors of one of torch's schedulers that is stepped after each optimiser step."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(TOTAL):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def ours(name, **options):
    schedule = make_schedule(name, steps_per_epoch=STEPS, epochs=EPOCHS, **options)
    return [schedule.factor(step) for step in range(TOTAL)]


def test_the_table_and_the_configuration_name_the_same():
    assert {*SHAPES, "plateau"} == set(SCHEDULERS)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_schedule_starts_and_stays_in_bounds(name):
    factors = ours(name)
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_schedules_state_survives_json(name):
    import json

    schedule = make_schedule(name, steps_per_epoch=STEPS, epochs=EPOCHS)
    for loss in (0.5, *[0.6] * 20):
        schedule.observe(loss)
    other = make_schedule(name, steps_per_epoch=STEPS, epochs=EPOCHS)
    other.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert [other.factor(s) for s in range(TOTAL)] == [schedule.factor(s) for s in range(TOTAL)]


def test_none():
    assert ours("none") == [1.0] * TOTAL


def test_steplr():
    expected = torchs(lambda o: judge.StepLR(o, step_size=4 * STEPS, gamma=0.1))
    assert ours("steplr", step_epochs=4) == pytest.approx(expected, rel=1e-9)


def test_expdecay():
    per_epoch = []
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = judge.ExponentialLR(optimizer, gamma=0.96)
    for _ in range(EPOCHS):
        per_epoch += [optimizer.param_groups[0]["lr"]] * STEPS
        optimizer.step()
        scheduler.step()
    assert ours("expdecay") == pytest.approx(per_epoch, rel=1e-9)


def test_cosine():
    expected = torchs(lambda o: judge.CosineAnnealingLR(o, T_max=TOTAL))
    assert ours("cosine") == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_onecycle():
    expected = torchs(lambda o: judge.OneCycleLR(o, max_lr=1.0, total_steps=TOTAL + 1))
    schedule = make_schedule("onecycle", steps_per_epoch=TOTAL + 1, epochs=1)
    factors = [schedule.factor(step) for step in range(TOTAL)]
    assert factors == pytest.approx(expected, rel=1e-9)


def test_plateau():
    losses = [1, 0.9, *[0.95] * 6, 0.9, 0.89995, *[0.8999] * 9, 0.5, *[0.5] * 14]
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = judge.ReduceLROnPlateau(optimizer, factor=0.1, patience=5)
    schedule = make_schedule("plateau", steps_per_epoch=STEPS, epochs=EPOCHS)
    factors, expected = [], []
    for loss in losses:
        scheduler.step(loss)
        schedule.observe(loss)
        expected.append(optimizer.param_groups[0]["lr"])
        factors.append(schedule.factor(0))
    assert factors == pytest.approx(expected, rel=1e-9)
    assert min(factors) < 1e-3  # it dropped more than twice
