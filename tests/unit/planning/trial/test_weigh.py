"""Weighing: how long it may take."""

import pytest

from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.weigh import CHILD_SECONDS, child_seconds, likely_payback


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


@pytest.mark.parametrize(("run_seconds", "saved"), [(float("inf"), 5000.0), (3600.0, 360.0)])
def test_compiling_is_worth_trying_for_what_the_budget_holds(
    plan_on, make_job, found, tmp_path, monkeypatch, run_seconds, saved
):
    """A million images take 50,000 s, of which a CPU is likely to save a tenth."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path))
    budget = Budget(lambda: 0.0, images=1_000_000, run_seconds=run_seconds)
    likely = likely_payback(plan_on("cpu_2core_24gb"), make_job(), found().best, budget, "default")
    assert likely.saving_seconds == pytest.approx(saved)
