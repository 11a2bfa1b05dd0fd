"""A recipe of several processes, stopped in its stages and carried on by another number."""

import pytest
import torch
from safetensors.torch import save_file

from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.store.run import read_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ended(launch, words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    save_file(
        build_model(find_model("test_resnet"), 1000, 0.0, None, 64).state_dict(),
        folder / "weights.safetensors",
    )
    pretrained = ("--weights", str(folder / "weights.safetensors"), "--recipe", "finetune",
                  "--batch-size", "8", "--epochs", "2", "--evaluate", "False")  # fmt: skip

    def begun(processes, name, **misfortune):
        run = folder / name
        return {"processes": processes, "words": words(run, *pretrained), "run": run, **misfortune}

    def resumed(processes, name):
        run = folder / name
        return {"processes": processes, "words": ["resume", str(run)], "run": run}

    # two steps to an epoch; one process takes the eight images of a step in two passes
    cases = {
        "one": begun(1, "one"),
        "two": begun(2, "two"),
        "cut": begun(2, "cut", cut=True),
        "cut, by one": resumed(1, "cut"),
        "of two": begun(2, "of-two", signal={"rank": 1, "calls": [3]}),
        "of two, by one": resumed(1, "of-two"),
        "of one": begun(1, "of-one", signal={"rank": 0, "calls": [7]}),
        "of one, by two": resumed(2, "of-one"),
    }
    return dict(zip(cases, launch(*cases.values()), strict=True))


def test_all_fine_tune_from_the_head_that_the_first_has_fitted(ended):
    one, two = ended["one"], ended["two"]
    assert (one.codes, two.codes) == ([0], [0, 0]), two.logs
    assert [row["epoch"] for row in two.rows] == [0, 1, 2]
    assert two.rows[0]["val_loss"] == pytest.approx(one.rows[0]["val_loss"], abs=1e-5)
    assert_same_training(one, two)
    recipes = [read_json(run.run.results)["recipe"]["features"]["tried"] for run in (one, two)]
    assert len(recipes[1]) == len(recipes[0])


def test_a_signal_in_the_feature_pass_ends_all_and_it_begins_anew(ended):
    assert ended["cut"].codes == [130, 130], ended["cut"].logs
    assert "lacewing resume" in ended["cut"].logs[0]
    assert ended["cut, by one"].codes == [0]
    assert_same_training(ended["one"], ended["cut, by one"])


@pytest.mark.parametrize(
    ("stopped", "resumed"), [("of two", "of two, by one"), ("of one", "of one, by two")]
)
def test_another_number_goes_on_within_an_epoch(ended, stopped, resumed):
    before, after = ended[stopped], ended[resumed]
    assert set(before.codes) == {130}, before.logs
    assert set(after.codes) == {0}, after.logs
    assert list(before.order) == [1, 2, 3], "in the middle of the second epoch"
    assert list(after.order) == [4]
    after.order.update(before.order)
    assert_same_training(ended["one"], after)


def assert_same_training(run, other):
    """The same images in the same steps, and the same weights to the order of summation."""
    assert other.order == run.order
    assert {len(rows) for rows in run.order.values()} == {8}
    for name, weight in run.weights.items():
        torch.testing.assert_close(other.weights[name], weight, atol=2e-4, rtol=1e-3, msg=name)
    for row, same in zip(run.rows, other.rows, strict=True):
        assert same["val_loss"] == pytest.approx(row["val_loss"], abs=1e-3)
