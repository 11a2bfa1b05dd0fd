"""The plan's table, on screens of several widths."""

import pytest

from lacewing.planning.decisions import DECISIONS
from lacewing.planning.plan import Plan
from lacewing.running.show import show_decisions
from lacewing.values import Choice

WHY = "65 images/s in fp32 channels_last, the best of 3; 48 in fp32 contiguous"


@pytest.mark.parametrize(
    ("columns", "lines_each", "has_column"), [(80, 4, False), (100, 2, False), (140, 1, True)]
)
def test_each_decision_says_what_changes_it_and_stays_readable(
    monkeypatch, capsys, columns, lines_each, has_column
):
    monkeypatch.setenv("COLUMNS", str(columns))
    show_decisions(Plan(**{name: Choice(12, WHY, "measured") for name in DECISIONS}))
    head, *lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert ("why (changed by)" in head) is not has_column
    assert len(lines) <= lines_each * len(DECISIONS)
    text = " ".join(" ".join(lines).split())
    for decision in DECISIONS.values():
        assert all(flag in text for flag in decision.flags.split(", "))
