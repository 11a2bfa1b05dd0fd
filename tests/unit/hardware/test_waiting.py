"""How long threads spin while they wait."""

import pytest

from lacewing.hardware import waiting
from lacewing.hardware.waiting import BUSY_TURNS, IDLE_TURNS, let_threads_wait


@pytest.fixture
def system(monkeypatch, tmp_path):
    """Says how many threads run, look after look; and that the user has set nothing."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "loadavg"
    monkeypatch.setattr(waiting, "RUNNING", file)

    def say(*counts):
        left = iter(counts)
        monkeypatch.setattr(
            waiting.time,
            "sleep",
            lambda _: file.write_text(f"0.50 0.40 0.30 {next(left)}/321 4711\n"),
        )

    return say


@pytest.mark.parametrize(
    ("running", "turns"),
    [
        ((1, 1, 1, 1, 1), IDLE_TURNS),
        ((1, 3, 1, 2, 1), IDLE_TURNS),
        ((2, 2, 1, 1, 2), BUSY_TURNS),
        ((9, 9, 9, 9, 9), BUSY_TURNS),
    ],
)
def test_threads_spin_for_less_time_beside_others(system, monkeypatch, running, turns):
    environment = {}
    monkeypatch.setattr(waiting.os, "environ", environment)
    system(*running)
    let_threads_wait()
    assert environment == {"GOMP_SPINCOUNT": str(turns), "OMP_WAIT_POLICY": "passive"}


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7", "OMP_WAIT_POLICY": "passive"}),
    ],
)
def test_what_the_user_has_set_stays(system, monkeypatch, given, after):
    environment = dict(given)
    monkeypatch.setattr(waiting.os, "environ", environment)
    system(1, 1, 1, 1, 1)
    let_threads_wait()
    assert environment == after


def test_a_system_that_does_not_say_counts_as_busy(system):
    assert waiting.others_are_at_work()
