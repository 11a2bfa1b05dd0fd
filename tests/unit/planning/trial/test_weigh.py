"""Weighing: how long it may take."""

from types import SimpleNamespace

import pytest

from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.findings import Timed
from lacewing.planning.trial.weigh import CHILD_SECONDS, child_seconds, sizes_in_time


@pytest.mark.parametrize(
    ("asked", "run_seconds", "is_safe", "seconds"),
    [
        (10.0, 3600.0, True, 6.0),
        (3.0, 3600.0, True, -1.0),
        (3.0, 3600.0, False, CHILD_SECONDS),
        (None, 60.0, True, CHILD_SECONDS),
        (None, 3600.0, False, 104.0),
    ],
)
def test_a_time_that_was_asked_for_bounds_what_no_memory_is_at_stake_for(
    asked, run_seconds, is_safe, seconds
):
    now = [0.0]
    budget = Budget(lambda: now[0], images=3600, asked=asked, run_seconds=run_seconds)
    budget.saw(1.0)
    now[0] = 4.0
    assert child_seconds(budget, is_safe) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("asked", "spent", "steps", "sizes"),
    [
        (20.0, 0.0, 2, (10,)), (10.0, 0.0, 1, (10,)), (19.0, 0.0, 2, (9,)), (19.0, 10.0, 1, (9,)),
        (4.0, 0.0, 2, (2,)), (3.9, 0.0, 2, ()), (40.0, 99.0, 1, (8,)), (9.0, 99.0, 1, ()),
    ],
)  # fmt: skip
def test_what_is_weighed_in_this_process_is_what_the_time_allows(
    monkeypatch, way, asked, spent, steps, sizes
):
    """A second an image, and up to 10 of them; at the least a fifth of all the time."""
    monkeypatch.setattr("lacewing.planning.trial.weigh.steps_of", lambda bench, way: steps)
    now = [0.0]
    trial = SimpleNamespace(bench=None, budget=Budget(lambda: now[0], images=1, asked=asked))
    now[0] = spent
    assert sizes_in_time(trial, Timed(way=way(images=4), seconds=4.0), 10) == sizes
    assert sizes_in_time(trial, Timed(way=way(images=4)), 10) == (10,)
