"""The plan's table, on screens of several widths."""

from types import SimpleNamespace

import pytest

from lacewing.config import CLASSIC, TrainConfig
from lacewing.flags import config_flags
from lacewing.planning.decisions import DECISIONS
from lacewing.planning.plan import Plan
from lacewing.running import show
from lacewing.running.show import OTHER_TRAINING, show_decisions
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


@pytest.mark.parametrize(
    ("asked", "decided", "is_said"),
    [
        ({"recipe": "auto"}, "finetune", True),
        ({"recipe": "auto"}, "features", True),
        ({"recipe": "auto"}, "classic", False),
        ({"recipe": "auto", "plan": "plan.yaml"}, "finetune", False),
        ({"recipe": "finetune"}, "finetune", False),
        ({"recipe": "classic"}, "classic", False),
    ],
)
def test_flags_that_would_mean_another_training_are_named(
    monkeypatch, capsys, asked, decided, is_said
):
    for part in ("show_machine", "show_data", "show_trial", "show_all_images"):
        monkeypatch.setattr(show, part, lambda *_: None)
    plan = Plan(**{name: Choice(12, WHY, "measured") for name in DECISIONS})
    prepared = SimpleNamespace(
        asked=TrainConfig(**asked), config=TrainConfig(recipe=decided), plan=plan,
        machine=None, index=None, networks=(),
    )  # fmt: skip
    show.show(prepared)
    assert ("mean classic training" in capsys.readouterr().out) is is_said


def test_they_are_all_that_the_table_has():
    changing = {flag for one in DECISIONS.values() for flag in one.flags.split(", ")}
    classic = {flag.short or flag.long for flag in config_flags() if flag.name in CLASSIC}
    named = {word.strip(",") for word in OTHER_TRAINING.split(";")[0].split() if word[0] == "-"}
    assert named == changing & classic
