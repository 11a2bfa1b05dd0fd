"""How long threads spin while they wait."""

import pytest

from lacewing.hardware import waiting
from lacewing.hardware.waiting import BUSY_TURNS, IDLE_TURNS, let_threads_wait


@pytest.fixture
def system(monkeypatch, tmp_path):
    """Says how many threads ran in the last minute and, look after look, how many run now."""
    file = tmp_path / "loadavg"
    monkeypatch.setattr(waiting, "LOAD", file)

    def say(load, *counts):
        left = iter(counts)

        def look(_=None):
            file.write_text(f"{load:.2f} 0.40 0.30 {next(left)}/321 4711\n")

        file.write_text(f"{load:.2f} 0.40 0.30 1/321 4711\n")
        monkeypatch.setattr(waiting.time, "sleep", look)

    return say


@pytest.mark.parametrize(
    ("load", "running", "turns"),
    [
        (2.0, (1, 1, 1, 1, 1), IDLE_TURNS),
        (2.0, (1, 3, 1, 2, 1), IDLE_TURNS),
        (2.0, (2, 2, 1, 1, 2), BUSY_TURNS),
        (0.5, (9, 9, 9, 9, 9), BUSY_TURNS),
        (0.4, (9, 9, 9, 9, 9), IDLE_TURNS),
    ],
)
def test_threads_spin_for_less_time_beside_others(system, monkeypatch, load, running, turns):
    environment = {}
    monkeypatch.setattr(waiting.os, "environ", environment)
    system(load, *running)
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
    system(0.0)
    let_threads_wait()
    assert environment == after


@pytest.mark.parametrize("text", [None, "", "a b c d e", "0.9 0.4 0.3"])
def test_a_system_that_does_not_say_counts_as_busy(monkeypatch, tmp_path, text):
    monkeypatch.setattr(waiting, "LOAD", tmp_path / "loadavg")
    if text is not None:
        (tmp_path / "loadavg").write_text(text)
    assert waiting.others_are_at_work()
