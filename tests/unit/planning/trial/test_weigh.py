"""Weighing: how long it may take."""

import pytest

from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.weigh import CHILD_SECONDS, child_seconds


@pytest.mark.parametrize(
    ("asked", "run_seconds", "seconds"),
    [(10.0, 3600.0, 6.0), (3.0, 3600.0, -1.0), (None, 60.0, CHILD_SECONDS), (None, 3600.0, 104.0)],
)
def test_a_child_has_what_is_left_of_a_time_that_was_asked_for(asked, run_seconds, seconds):
    now = [0.0]
    budget = Budget(lambda: now[0], images=3600, asked=asked, run_seconds=run_seconds)
    budget.saw(1.0)
    now[0] = 4.0
    assert child_seconds(budget) == pytest.approx(seconds)
