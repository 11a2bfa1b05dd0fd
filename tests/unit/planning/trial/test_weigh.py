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


@pytest.mark.parametrize(("left", "sizes"), [(30.0, (10,)), (20.0, (5,)), (13.9, ()), (-1.0, ())])
def test_what_is_weighed_in_this_process_is_what_the_time_allows(found, way, left, sizes):
    """A second an image: two steps of up to 10, and a third of one of 30."""
    budget = Budget(lambda: 0.0, images=1, asked=left)
    best = Timed(way=way(images=4), seconds=4.0)
    assert sizes_in_time(SimpleNamespace(budget=budget), best, 10, way(images=30)) == sizes
    untimed = Timed(way=way(images=4))
    assert sizes_in_time(SimpleNamespace(budget=budget), untimed, 10, way(images=30)) == (10,)
