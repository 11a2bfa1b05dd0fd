import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from lacewing.results.course import best_row
from lacewing.results.figures import confusion_png, curves_png
from lacewing.results.seriation import shorten


def size(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return picture.size


def test_confusion_grows_with_the_classes(tmp_path):
    sizes = []
    for count in (2, 8, 30):
        confusion_png(tmp_path / "c.png", np.eye(count, dtype=int), [f"{i}" for i in range(count)])
        sizes.append(size(tmp_path / "c.png"))
    assert sizes == sorted(sizes) and len(set(sizes)) == 3


@pytest.mark.parametrize("name", ["$x^{", "<script>", "稲の害虫", "a\nb", "x" * 300, ""])
def test_any_name_can_be_drawn(tmp_path, name):
    confusion_png(tmp_path / "c.png", np.array([[3, 1], [0, 0]]), [name, "other"])
    assert size(tmp_path / "c.png")[0] < 3000


def test_the_matrix_shows_what_it_is_given(tmp_path):
    def picture(confusion):
        confusion_png(tmp_path / "c.png", np.array(confusion), ["a", "b"])
        return (tmp_path / "c.png").read_bytes()

    assert picture([[3, 1], [0, 2]]) == picture([[3, 1], [0, 2]]) != picture([[1, 3], [0, 2]])


@pytest.mark.parametrize("epochs", [0, 1, 60])
def test_curves_of_any_length(tmp_path, epochs):
    rows = [
        {"epoch": epoch, "train_loss": 1 / (epoch + 1), "val_loss": None, "train_accuracy": 0.5,
         "val_accuracy": float("nan"), "best": epoch == 0}
        for epoch in range(epochs)
    ]  # fmt: skip
    curves_png(tmp_path / "curves.png", rows)
    assert size(tmp_path / "curves.png")[0] > 1000


def test_leaves_no_temporary_file_and_no_pyplot_state(tmp_path):
    curves_png(tmp_path / "curves.png", [])
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    assert plt.get_fignums() == []


def test_shorten_keeps_both_ends():
    assert shorten("rice  leaf\nroller") == "rice leaf roller"
    short = shorten("Locustoidea of the northern plains, larva", 15)
    assert short == "Locusto…, larva" and len(short) == 15


def test_the_best_row_is_the_last_that_was_best():
    rows = [{"epoch": 1, "best": True}, {"epoch": 2, "best": True}, {"epoch": 3, "best": False}]
    assert best_row(rows)["epoch"] == 2
    assert best_row([]) is None


@pytest.mark.slow
def test_a_matrix_of_very_many_classes_stays_a_picture(tmp_path):
    confusion_png(tmp_path / "c.png", np.eye(1500, dtype=int), [f"{i}" for i in range(1500)])
    assert max(size(tmp_path / "c.png")) < 7000
