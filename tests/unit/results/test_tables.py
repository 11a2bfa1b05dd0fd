import csv

import numpy as np
import pytest

from lacewing.results.metrics import figures
from lacewing.results.tables import (
    class_rows,
    confused_pairs,
    mistakes,
    plan_table,
    read_predictions,
    tuned_table,
    write_predictions,
)

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.05, 0.05, 0.9]], np.float32)
CLASSES = ["grub", 'mole, "cricket"', "aphid"]


@pytest.fixture
def predictions(tmp_path):
    path = tmp_path / "predictions.csv"
    write_predictions(path, ["a.jpg", "b.jpg", "ü,c.jpg"], np.array([0, 1, 1]), PROBABILITIES,
                      CLASSES)  # fmt: skip
    return path


def test_predictions_read_back(predictions):
    with predictions.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["path", "true", "predicted", "confidence", "correct", "top5"],
        ["a.jpg", "grub", "grub", "0.700000", "true", 'grub | mole, "cricket" | aphid'],
        ["b.jpg", 'mole, "cricket"', "grub", "0.600000", "false", 'grub | mole, "cricket" | aphid'],
        ["ü,c.jpg", 'mole, "cricket"', "aphid", "0.900000", "false",
         'aphid | grub | mole, "cricket"'],
    ]  # fmt: skip


def test_top5_is_five_of_many(tmp_path):
    scores = np.linspace(0.3, 0, 7, dtype=np.float32)[None]
    write_predictions(tmp_path / "p.csv", ["a"], np.array([6]), scores, list("abcdefg"))
    assert (tmp_path / "p.csv").read_text().splitlines()[
        1
    ] == "a,g,a,0.300000,false,a | b | c | d | e"


def test_a_path_that_is_no_text_can_be_written(tmp_path):
    write_predictions(tmp_path / "p.csv", ["\udcff.jpg"], np.array([0]), PROBABILITIES[:1], CLASSES)
    assert "\\udcff.jpg,grub" in (tmp_path / "p.csv").read_text(encoding="utf-8")


def test_rows_must_match(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        write_predictions(tmp_path / "p.csv", ["a"], np.array([0, 1]), PROBABILITIES, CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_the_most_confident_mistakes_come_first(predictions, tmp_path):
    assert [row["path"] for row in mistakes(read_predictions(predictions), 5)] == [
        "ü,c.jpg",
        "b.jpg",
    ]
    assert [row["path"] for row in mistakes(read_predictions(predictions), 1)] == ["ü,c.jpg"]
    assert read_predictions(tmp_path / "none.csv") == []


def test_confused_pairs_by_hand():
    confusion = np.array([[5, 3, 0], [1, 9, 0], [0, 4, 0]])
    pairs = confused_pairs(confusion, ["a", "b", "c"], limit=10)
    assert [(pair["true"], pair["taken_for"], pair["images"]) for pair in pairs] == [
        ("c", "b", 4), ("a", "b", 3), ("b", "a", 1),
    ]  # fmt: skip
    assert pairs[1]["share"] == pytest.approx(3 / 8) and pairs[1]["way_back"] == 1
    assert len(confused_pairs(confusion, ["a", "b", "c"], limit=1)) == 1


def test_the_weakest_class_comes_first_and_absent_ones_last():
    labels = np.array([0, 0, 1, 1])
    scores = np.eye(3, dtype=np.float32)[[0, 0, 1, 0]]
    judged = figures(scores, labels, CLASSES).as_dict()
    known = {"classes": [{"name": name, "train": 10 + place} for place, name in enumerate(CLASSES)]}
    rows = class_rows(judged, known)
    assert [row["name"] for row in rows] == ['mole, "cricket"', "grub", "aphid"]
    assert [row["taken_for"] for row in rows] == ["grub", "", ""]
    assert [row["training"] for row in rows] == [11, 10, 12]
    assert [row["training"] for row in class_rows(judged, {})] == [None] * 3


def test_the_plan_is_shown_in_words():
    entry = {"value": 2**30, "reason": "half", "source": "rule", "evidence": {"free_bytes": 2**31}}
    assert plan_table({"decisions": {"memory_bytes": entry, "pin_memory": {"value": True}}}) == [
        {"name": "memory bytes", "value": "1.0 GiB", "why": "half", "source": "rule",
         "evidence": "free: 2.0 GiB", "flags": "--memory-share"},
        {"name": "pin memory", "value": "yes", "why": "", "source": "", "evidence": "",
         "flags": "-dv"},
    ]  # fmt: skip
    assert plan_table({}) == []
    assert plan_table({"decisions": {"of_old": {"value": 1}}})[0]["flags"] == ""


def test_fine_tuning_s_decisions_are_those_that_differ():
    def plan(size):
        size = {"value": size, "reason": "fits the time", "source": "measured"}
        device = {"value": "cpu", "reason": "asked for", "source": "user"}
        return {"decisions": {"device": device, "image_size": size}}

    assert [row["value"] for row in tuned_table(plan(256), plan(160))] == ["160"]
    assert tuned_table(plan(256), {}) == []
