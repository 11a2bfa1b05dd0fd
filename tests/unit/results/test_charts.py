import numpy as np
import pytest

from lacewing.results import seriation
from lacewing.results.charts import HEIGHT, WIDTH, bars, curves, matrix, nice_ticks, rate_curve


def rows(*values):
    return [
        {"epoch": epoch, "train_loss": value, "val_loss": value, "best": epoch == 1}
        for epoch, value in enumerate(values, start=1)
    ]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.31, 2.9, [1, 2]),
        (0.12, 0.19, [0.12, 0.14, 0.16, 0.18]),
        (-3, 4, [-2, 0, 2, 4]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_a_gap_where_a_value_is_missing():
    panel = curves(rows(1.0, None, 0.5, float("nan"), 0.2, 0.1), "loss")
    path = panel.lines[0][1]
    assert path.count("M") == 3 and path.count("L") == 1


def test_one_epoch_shows_as_a_dot():
    panel = curves(rows(0.7), "loss")
    assert panel.lines[1][1].endswith("h0")
    assert [label for _, label in panel.x_ticks] == ["1"]
    assert panel.best is not None and panel.best[2] == "epoch 1: 0.700"


def test_lower_values_stand_lower_and_all_are_inside():
    panel = curves(rows(2.0, 1.0, 0.5), "loss")
    points = [part.split("h")[0] for part in panel.lines[0][1].replace("L", "M").split("M")[1:]]
    x, y = np.array([point.split() for point in points], dtype=float).T
    assert (np.diff(x) > 0).all() and (np.diff(y) > 0).all()
    assert x.min() > 0 and x.max() < WIDTH and y.min() > 0 and y.max() < HEIGHT


def test_curves_without_a_value_can_be_drawn():
    panel = curves(rows(None, None), "loss")
    assert panel.lines == (("training", ""), ("validation", "")) and panel.best is None


def test_the_matrix_holds_every_count():
    confusion = np.array([[5, 0, 1], [2, 8, 0], [0, 0, 0]])
    picture = matrix(confusion, ["a", "b", "c"])
    assert {(x, y, count) for x, y, count, _ in picture.counts} == {
        (0, 0, 5), (2, 0, 1), (0, 1, 2), (1, 1, 8),
    }  # fmt: skip
    assert sum(path.count("M") for _, path in picture.shades) == 4
    assert picture.support == (6, 10, 0) and picture.with_numbers


def test_many_classes_are_ordered_with_their_names():
    confusion = np.diag(np.arange(1, 31))
    confusion[3, 20] = 4
    names = [f"class {label}" for label in range(30)]
    picture = matrix(confusion, names)
    assert not picture.with_numbers
    assert abs(picture.names.index("class 3") - picture.names.index("class 20")) == 1
    place = picture.names.index("class 7")
    assert (place, place, 8, True) in picture.counts


def test_the_rates_of_a_search_stand_in_equal_ratios():
    found = {"rates": [1e-4, 1e-3, 1e-2], "losses": [2.0, 1.0, 90.0], "chosen": 1e-3}
    panel = rate_curve(found)
    places = {label: x for x, label in panel.x_ticks}
    assert places["1e-3"] - places["1e-4"] == pytest.approx(places["1e-2"] - places["1e-3"])
    assert panel.best is not None and panel.best[0] == places["1e-3"]
    ((_, path),) = panel.lines
    heights = [float(part.split("h")[0].split()[1]) for part in path[1:].split("L")]
    assert min(heights) > 0 and max(heights) < HEIGHT, "a loss that diverged stays inside"


def test_candidates_are_bars_by_the_kind_of_pass():
    candidates = [
        {"pass": "training", "way": "fp32", "images_per_second": 50.0, "note": ""},
        {"pass": "training", "way": "bf16", "images_per_second": 100.0, "note": "", "chosen": True},
        {"pass": "training", "way": "fp16", "note": "the memory is full"},
        {"pass": "memory", "way": "passes of 8 images", "bytes": 2**30, "note": "1.0 GiB"},
    ]
    training, memory = bars(candidates)
    assert (training.title, training.unit) == ("Training", "images per second")
    assert [bar.width for bar in training.bars] == [WIDTH / 2, WIDTH, 0.0]
    assert [bar.value for bar in training.bars] == ["50.0", "100.0", ""]
    assert [bar.chosen for bar in training.bars] == [False, True, False]
    assert training.bars[2].note == "the memory is full"
    assert training.height > training.bars[2].top > training.bars[1].top
    assert (memory.unit, memory.bars[0].value) == ("peak of a step", "1.0 GiB")
    assert bars([]) == ()
    assert bars([{"pass": "training", "way": "fp32", "note": "gone"}])[0].bars[0].width == 0.0


def test_very_many_classes_keep_their_order(monkeypatch):
    monkeypatch.setattr(seriation, "ORDERED_UP_TO", 24)
    names = [f"class {label}" for label in range(25)]
    confusion = np.eye(25, dtype=int)
    confusion[0, 24] = confusion[24, 0] = 9  # in order they would stand side by side
    assert matrix(confusion, names).full_names == tuple(names)
    monkeypatch.setattr(seriation, "ORDERED_UP_TO", 25)
    assert matrix(confusion, names).full_names != tuple(names)
