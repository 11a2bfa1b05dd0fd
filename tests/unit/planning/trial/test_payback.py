"""torch.compile has to earn its cost back."""

import pytest

from lacewing.planning.rules.compile import COST_SECONDS, GRAPHS_SECONDS
from lacewing.planning.trial import payback
from lacewing.planning.trial.findings import CompileTime
from lacewing.planning.trial.payback import cheapest


def test_a_short_run_says_what_it_would_cost():
    weighed = payback.likely("cpu", 30.0, 45.0)
    assert weighed.sentence(left=100.0) == "would cost about 45 s to save about 3.0 s"
    assert not weighed.worth_trying


def test_what_was_not_tried_says_so():
    """Never that ten hours were not worth a minute."""
    long = payback.likely("cpu", 360_000.0, COST_SECONDS)
    assert long.sentence(left=12.0) == (
        "not tried: it takes about 1 min 0 s, and measuring had 12 s left"
    )
    assert long.sentence(left=-3.0).endswith("measuring had 0.0 s left")
    near = payback.likely("cuda", 300.0, COST_SECONDS)
    assert near.pays and not near.worth_trying
    words = "not tried: it may save about 1 min 15 s, for about 1 min 0 s"
    assert near.sentence(left=100.0) == words


def test_a_long_run_on_a_gpu_is_worth_a_try_at_one_and_a_half_times_the_cost():
    assert not payback.likely("cuda", 359.0, COST_SECONDS).worth_trying
    assert payback.likely("cuda", 361.0, COST_SECONDS).worth_trying


def test_what_was_measured_decides():
    gain = payback.measured(40.0, before=0.30, after=0.20, passes=1000)
    assert gain.pays
    assert gain.sentence() == "costs 40 s and saves 1 min 40 s in this run, as measured"
    loss = payback.measured(40.0, before=0.20, after=0.30, passes=1000)
    assert not loss.pays
    assert loss.sentence() == "costs 40 s and loses 1 min 40 s in this run, as measured"


def test_graphs_without_a_compiler_are_worth_a_try_in_shorter_runs():
    assert payback.likely("cuda", 100.0, GRAPHS_SECONDS).worth_trying
    assert not payback.likely("cuda", 100.0, COST_SECONDS).worth_trying


def test_steps_of_several_passes_have_no_graphs():
    modes = ("cudagraphs", "reduce-overhead", "default")
    assert payback.usable(modes, 1) == modes
    assert payback.usable(modes, 2) == ("default",)


@pytest.mark.parametrize(
    ("seconds", "mode"),
    [({"default": 0.5, "reduce-overhead": 0.2}, "reduce-overhead"),
     ({"default": 0.5, "reduce-overhead": 0.49}, "default"),
     ({"default": None, "reduce-overhead": 0.9}, "reduce-overhead"),
     ({"default": 0.5, "reduce-overhead": None}, "default")],
)  # fmt: skip
def test_of_the_modes_that_work_the_one_that_takes_less_of_the_run(seconds, mode):
    cost = {"default": 10.0, "reduce-overhead": 30.0}
    tried = [
        CompileTime(mode=name, cost_seconds=cost[name], pass_seconds=seconds[name])
        for name in ("default", "reduce-overhead")
    ]
    assert cheapest(tried, passes=1000).mode == mode


def test_no_mode_is_none():
    assert cheapest((), passes=1000) is None
