import numpy as np
import pytest

from lacewing.results.folds import add_test, summarise, write_folds
from lacewing.store.run import read_json, write_json

CONFUSIONS = (np.array([[8, 2], [1, 9]]), np.array([[6, 4], [0, 10]]))


def folds():
    return [
        {
            "run": f"fold-{number}",
            "images": int(matrix.sum()),
            "top1": matrix.trace() / matrix.sum(),
            "f1": 0.5 + number / 10,
            "loss": float(number),
            "best_epoch": number,
            "confusion": matrix.tolist(),
        }
        for number, matrix in enumerate(CONFUSIONS, 1)
    ]


def test_mean_spread_and_all_answers_together():
    found = summarise(folds())
    assert found["mean"] == pytest.approx({"top1": 0.825, "f1": 0.65, "loss": 1.5})
    # two values differ by d: their standard deviation is d / sqrt(2)
    assert found["spread"]["top1"] == pytest.approx(0.05 / 2**0.5)
    together = found["together"]
    assert (together["images"], together["top1"]) == (40, 0.825)
    assert together["f1"] == pytest.approx((28 / 35 + 38 / 45) / 2)
    assert together["top1_interval"][0] < 0.825 < together["top1_interval"][1]
    assert "confusion" not in found["folds"][0]


def test_the_last_run_adds_what_it_reached_on_the_test_split(tmp_path):
    write_folds(tmp_path, summarise(folds()))
    last = tmp_path / "all"
    last.mkdir()
    tested = {"images": 9, "top1": 0.8, "top1_interval": [0.7, 0.9], "f1": 0.7,
              "f1_interval": [0.6, 0.8], "loss": 1.0}  # fmt: skip
    write_json(last / "results.json", {"splits": {"test": tested}})
    add_test(tmp_path, last)
    found = read_json(tmp_path / "folds.json")
    assert (found["last"], found["test"]["top1"], found["mean"]["loss"]) == ("all", 0.8, 1.5)
