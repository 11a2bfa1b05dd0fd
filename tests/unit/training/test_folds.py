"""The runs of a cross-validation."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig, save_config
from lacewing.errors import RunError
from lacewing.store.run import open_run, write_json
from lacewing.training.folds import (
    FOUND,
    Taken,
    asked_folds,
    fold_config,
    fold_row,
    folds_folder,
    is_done,
    last_config,
    none_below_of_folds,
    taken_from_folds,
)


@pytest.fixture
def config(tmp_path) -> TrainConfig:
    return TrainConfig(data="x/photos", folds=3, recipe="classic", output=tmp_path, budget=80.0)


def rows(recipe, best, epochs=10, shares=(None, None, 0.5)):
    views = ("off", *["whole"] * (len(best) - 1))
    return [
        {"recipe": recipe, "best_epoch": one, "epochs": epochs, "view": view, "share": share}
        for one, view, share in zip(best, views, shares, strict=True)
    ]


def test_each_run_has_its_name_its_share_of_the_time_and_goes_on_where_it_stands(config, tmp_path):
    one = fold_config(config, tmp_path / "f", 2)
    assert (one.output, one.name, one.fold, one.resume) == (tmp_path / "f", "fold-2", 2, "auto")
    assert one.budget == 20.0
    assert fold_config(config, tmp_path, 0).name == "all"


def test_the_folder_is_found_again_by_the_same_words_only(config):
    folder = folds_folder(config)
    assert folder.name.endswith("photos-efficientnet_lite0-3-folds")
    again = TrainConfig(**{**vars(config), "resume": "auto"})
    assert folds_folder(again) == folder
    assert asked_folds(folder) == config
    other = TrainConfig(**{**vars(again), "folds": 4})
    assert folds_folder(other) != folder
    write_json(folder / FOUND, {"test": None})
    assert is_done(folder)
    assert folds_folder(again) != folder


def test_a_finished_one_is_found_by_its_name(config):
    named = TrainConfig(**{**vars(config), "name": "mine", "resume": "auto"})
    folder = folds_folder(named)
    write_json(folder / FOUND, {"test": None})
    assert folds_folder(named) == folder
    with pytest.raises(RunError, match="exists already"):
        folds_folder(TrainConfig(**{**vars(named), "resume": "never"}))


def test_commands_on_one_run_are_told_to_name_one(config):
    folder = folds_folder(config)
    with pytest.raises(RunError, match=r"holds the runs of several folds: name one, as .*/all"):
        open_run(folder)
    assert asked_folds(folder.parent) is None


def test_the_last_run_takes_what_the_folds_chose(config, tmp_path):
    def last(found, best, epochs=10, /, **fields):
        asked = TrainConfig(**{**vars(config), "budget": None, "epochs": 10, **fields})
        return last_config(asked, tmp_path, rows(found, best, epochs))

    assert last("finetune", (0, 0, 2), recipe="auto").recipe == "features"
    assert last("features", (0, 0, 0), recipe="auto").recipe == "features"
    assert last("finetune", (1, 0, 2), recipe="auto").recipe == "auto"
    assert last("finetune", (1, 0, 2), recipe="auto").tta == "whole"
    mixed = rows("finetune", (0, 0, 2), shares=(0.5, 0.75, None))
    taken = last_config(TrainConfig(**{**vars(config), "recipe": "auto"}), tmp_path, mixed)
    assert (taken.recipe, taken.wise_ft) == ("auto", 0.75)  # the means were better than the head
    assert last("classic", (3, 4, 9), 9).epochs == 4
    assert last("classic", (3, 3, 2), 3, limit_epochs=3).epochs == 10, "nothing was stopped early"
    assert last("classic", (2, 1, 2), 2, limit_epochs=3).epochs == 2
    assert last("classic", (0, 0, 0), 9, warmup_epochs=3).epochs == 1
    assert last("classic", (3, 4, 9)).epochs == 10
    assert last("classic", (3, 4, 9), 9, budget=60.0).epochs == 10
    assert last("classic", (3, 4, 9)).wise_ft == last("finetune", (0, 0, 2)).wise_ft == "auto"


@pytest.mark.parametrize(
    ("best", "shares", "expected"),
    [
        (
            (0, 0, 2, 3, 3),
            (None, None, 0.5, 0.75, 0.75),
            0.5,
        ),  # two stayed at the head
        ((1, 0, 2, 3, 3), (None, None, 0.5, 0.75, 0.75), 0.75),
        ((0, 0, 0, 3, 3), (None, None, None, 0.75, 0.75), None),
        ((2, 0, 0, 3, 3), (None,) * 5, 1.0),
    ],
)
def test_the_share_of_the_last_run_is_the_middle_one_of_the_folds(
    config, tmp_path, best, shares, expected
):
    folds = rows("finetune", best, shares=shares)
    last = last_config(replace(config, recipe="auto"), tmp_path, folds)
    found = None if last.recipe == "features" else last.wise_ft
    assert found == expected


def test_most_folds_decide_on_the_recipe_of_the_last_run(config, tmp_path):
    auto = replace(config, recipe="auto")
    head, tuned = rows("features", (0,) * 3, shares=(None,) * 3), rows("finetune", (2, 3, 4))
    last = last_config(auto, tmp_path, [head[0], *tuned[1:]])
    assert (last.recipe, last.wise_ft) == ("auto", 0.75), "the head's fold has no share"
    assert last_config(auto, tmp_path, [tuned[0], *head[1:]]).recipe == "features"


def test_the_last_run_is_calibrated_as_the_middle_fold_was(tmp_path):
    assert taken_from_folds(tmp_path) is None
    write_json(tmp_path / FOUND, {"folds": [{"temperature": None, "tau": None}, {"run": "old"}]})
    assert taken_from_folds(tmp_path) is None
    found = [(0.2, 1.5), (0.6, 1.1), (0.4, 2.0), (None, None)]
    rows = [{"tau": tau, "temperature": temperature} for tau, temperature in found]
    write_json(tmp_path / FOUND, {"folds": rows})
    assert taken_from_folds(tmp_path) == Taken(tau=0.4, temperature=1.5, folds=3)


def test_the_last_run_calls_none_of_these_what_the_middle_fold_did(tmp_path):
    assert none_below_of_folds(tmp_path) is None
    write_json(tmp_path / FOUND, {"folds": [{"none_below": None}, {"run": "old"}]})
    assert none_below_of_folds(tmp_path) is None
    rows = [{"none_below": bound} for bound in (0.5, 0.2, None, 0.4)]
    write_json(tmp_path / FOUND, {"folds": rows})
    assert none_below_of_folds(tmp_path) == 0.4


def test_a_fold_tells_what_it_was_calibrated_with(config, tmp_path):
    folder = tmp_path / "fold-1"
    folder.mkdir()
    save_config(config, folder / "config.yaml")
    judged = {"images": 3, "top1": 1.0, "f1": 1.0, "loss": 0.1, "confusion": [[3]]}
    results = {"splits": {"val": judged}, "recipe": {"polish": {"tau": 0.3, "temperature": 1.2}},
               "none_below": 0.4}  # fmt: skip
    write_json(folder / "results.json", results)
    row = fold_row(tmp_path, 1)
    assert (row["tau"], row["temperature"], row["share"]) == (0.3, 1.2, None)
    assert row["none_below"] == 0.4


def test_a_fold_that_was_not_judged_is_named(tmp_path):
    (tmp_path / "fold-1").mkdir()
    write_json(tmp_path / "fold-1" / "results.json", {})
    with pytest.raises(RunError, match="fold-1 was not judged"):
        fold_row(tmp_path, 1)
