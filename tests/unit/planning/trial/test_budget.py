"""The trial takes a small share of the run."""

import pytest

from lacewing.planning.trial.budget import Budget, allowance


@pytest.mark.parametrize(
    ("run_seconds", "allowed"),
    [(0, 5), (60, 9), (120, 18), (600, 18), (1000, 30), (3600, 108), (1e6, 120)],
)
def test_the_allowance(run_seconds, allowed):
    assert allowance(run_seconds) == pytest.approx(allowed)


def test_a_long_run_gives_three_percent_at_most():
    assert all(allowance(seconds) <= 0.03 * seconds for seconds in range(600, 10_000, 100))
    assert max(allowance(seconds) for seconds in range(600)) <= 20


def test_it_follows_the_fastest_image_seen():
    now = [0.0]
    budget = Budget(lambda: now[0], images=100)
    assert budget.limit == 5
    budget.saw(2.0)
    assert budget.limit == 18
    budget.saw(0.5)
    budget.saw(4.0)
    assert budget.limit == pytest.approx(7.5)
    now[0] = 3.0
    assert budget.until(0.5)()
    now[0] = 4.0
    assert not budget.until(0.5)()
    assert budget.left == pytest.approx(3.5)


def test_a_long_runs_share_goes_on_where_the_usual_limit_ends():
    now = [0.0]
    budget = Budget(lambda: now[0], images=10_000)
    budget.saw(1.0)
    now[0] = 100.0
    assert budget.left == pytest.approx(20)
    assert budget.left_of_share == pytest.approx(200), "3 % of 10,000 s, of which 100 are gone"
    short = Budget(lambda: now[0], images=100)
    short.saw(1.0)
    assert short.left_of_share == short.left
    asked = Budget(lambda: now[0], images=10_000, asked=120.0)
    asked.saw(1.0)
    now[0] = 200.0
    assert asked.left_of_share == pytest.approx(20)


def test_what_the_user_allows_is_the_limit():
    budget = Budget(lambda: 0.0, images=100, asked=2.0)
    budget.saw(9.0)
    assert budget.limit == 2.0


def test_a_run_with_a_budget_of_its_own_is_no_longer_than_that():
    budget = Budget(lambda: 0.0, images=10_000, run_seconds=60.0)
    budget.saw(1.0)
    assert budget.limit == allowance(60.0) == 9.0


def test_it_has_room_for_what_is_done_within_it():
    now = [0.0]
    budget = Budget(lambda: now[0], images=10, run_seconds=60.0)
    budget.saw(6.0)
    now[0] = 4.0
    assert budget.limit == 9.0
    assert budget.has_room(5.0)
    assert not budget.has_room(5.1)
