"""The last stage: the temperature, and what macro F1 as the aim changes."""

import time

import pytest
import torch

from lacewing.config import TrainConfig
from lacewing.engine.calibration import prior_shift
from lacewing.engine.heads import read_head
from lacewing.errors import ModelError
from lacewing.models.build import linear_head
from lacewing.models.bundle import load_model
from lacewing.results.finish import finish
from lacewing.store.run import read_json, read_lines, write_json
from lacewing.training.loop import Ending
from lacewing.training.recipe import carry_out, polish
from lacewing.training.recipe.budget import Budget
from lacewing.training.recipe.carry_out import train
from lacewing.training.recipe.closing import REPORT_SECONDS, is_polished, measured_closing
from lacewing.training.recipe.linear import fit_linear

FOREVER = float("inf")
AIM = "macro-f1"


def warnings(session):
    return [
        event["message"] for event in read_lines(session.run.events) if event["kind"] == "polish"
    ]


def test_a_handful_of_validation_images_polishes_nothing(recipe_session):
    session = recipe_session(recipe="features", image_size=48)
    assert polish.polish(session) is None
    assert warnings(session) == [], "nothing was asked for that is not done"


@pytest.mark.parametrize("wanted", [True, False])
def test_confidence_is_brought_in_line_unless_that_is_refused(recipe_session, monkeypatch, wanted):
    monkeypatch.setattr(polish, "LEAST_IMAGES", 5)
    # the tints are told apart without a mistake, which gives nothing to fit it to
    monkeypatch.setattr(polish, "temperature_of", lambda *_: 1.5)
    session = recipe_session(recipe="features", image_size=48, calibrate=wanted)
    fit_linear(session, FOREVER)
    assert (polish.polish(session).temperature == 1.0) is not wanted


def test_a_temperature_has_to_show_more_than_noise():
    random = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(1000, 4, generator=random)
    labels = torch.multinomial(logits.softmax(1), 1, generator=random)[:, 0]
    assert polish.fit_temperature(logits, labels) != 1.0
    assert polish.temperature_of(logits, labels) == 1.0
    assert polish.temperature_of(2 * logits, labels) == pytest.approx(2, rel=0.1)


def test_a_network_that_was_never_wrong_is_not_made_sure_of_everything():
    logits = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    labels = logits.argmax(1)
    assert polish.temperature_of(logits, labels) == 1.0
    assert polish.fit_temperature(logits, labels) < 0.1


@pytest.mark.parametrize("recipe", ["classic", "features"])
def test_too_few_images_for_macro_f1_are_said(recipe_session, recipe):
    session = recipe_session(recipe=recipe, image_size=48, optimize=AIM, epochs=1)
    train(session, time.perf_counter())
    (sentence,) = warnings(session)
    assert "--optimize macro-f1 gives rare classes no bonus: 15 validation images" in sentence


def test_a_classic_training_is_polished_where_macro_f1_is_the_aim(recipe_session, monkeypatch):
    monkeypatch.setattr(polish, "LEAST_IMAGES", 5)
    monkeypatch.setattr(polish, "choose_tau", lambda *_: 0.5)
    session = recipe_session(recipe="classic", epochs=1, optimize=AIM)
    train(session, time.perf_counter())
    found = read_json(session.run.results)["recipe"]
    assert (found["optimize"], found["polish"]["tau"]) == (AIM, 0.5)
    assert warnings(session) == []


def test_a_network_without_one_linear_head_is_left_as_it_is_and_it_is_said(
    recipe_session, monkeypatch
):
    def refuse(model):
        raise ModelError("two heads")

    monkeypatch.setattr(polish, "LEAST_IMAGES", 5)
    session = recipe_session(recipe="classic", epochs=1, optimize=AIM)
    monkeypatch.setattr(polish, "linear_head", refuse)
    train(session, time.perf_counter())
    (sentence,) = warnings(session)
    assert "test_resnet does not end in one linear layer" in sentence
    assert session.run.model.is_file()


def test_time_is_set_aside_for_the_pass_that_polishes_a_classic_training(recipe_session):
    plain, aimed = (
        recipe_session(recipe="classic", optimize=aim, evaluate=False) for aim in ("accuracy", AIM)
    )
    usual, more = (measured_closing(session) for session in (plain, aimed))
    assert usual.usual - usual.validation == pytest.approx(REPORT_SECONDS)
    assert more.usual - 2 * more.validation == pytest.approx(REPORT_SECONDS)


def test_the_last_run_of_folds_takes_what_they_found(recipe_session, tmp_path):
    session = recipe_session(
        recipe="features", image_size=48, optimize=AIM, folds=2, fold=0, name="all"
    )
    assert session.val_loader.images == 0
    found = [(0.2, 1.5), (0.6, 2.5)]
    rows = [{"tau": tau, "temperature": heat, "none_below": 0.4} for tau, heat in found]
    write_json(session.run.folder.parent / "folds.json", {"folds": rows})
    fit_linear(session, FOREVER)
    before = read_head(linear_head(session.model))
    carry_out.settle(session, None)
    noted = read_json(session.run.results)["recipe"]["polish"]
    assert noted == {"tau": 0.4, "temperature": 2.0, "folds": 2}
    after = read_head(linear_head(session.model))
    torch.testing.assert_close(after.weight, before.weight / 2)
    shift = prior_shift(session.index.counts("train"), 0.4)
    torch.testing.assert_close(after.bias, (before.bias + shift) / 2)
    saved = load_model(session.run.model).state
    assert any(torch.equal(value, after.bias) for value in saved.values())
    finish(session, Ending("done", finished=True))
    assert load_model(session.run.model).none_below == 0.4


def test_a_last_run_without_folds_around_it_says_that_it_lacks_them(recipe_session):
    session = recipe_session(recipe="features", image_size=48, optimize=AIM, folds=2, fold=0)
    train(session, time.perf_counter())
    assert "0 validation images are too few" in warnings(session)[0]


def test_epochs_are_chosen_by_macro_f1_where_that_is_the_aim(recipe_session, monkeypatch):
    session = recipe_session(recipe="classic", epochs=2, optimize=AIM, patience=0)
    figures = iter([{"val_macro_f1": 0.9}, {"val_macro_f1": 0.1}])
    monkeypatch.setattr("lacewing.training.loop.aimed_at", lambda *_: next(figures))
    accuracies = iter([0.2, 0.8])
    monkeypatch.setattr(
        "lacewing.training.loop.figures_of",
        lambda *_: {"val_loss": 1.0, "val_accuracy": next(accuracies)},
    )
    train(session, time.perf_counter())
    assert session.progress.best_epoch == 1
    assert (session.progress.best_macro_f1, session.progress.best_accuracy) == (0.9, 0.2)


def test_the_head_s_row_has_what_epochs_are_held_against(recipe_session):
    session = recipe_session(recipe="features", image_size=48, optimize=AIM)
    fit_linear(session, FOREVER)
    (row,) = read_lines(session.run.metrics)
    assert session.progress.best_macro_f1 == row["val_macro_f1"] > 0.5
    plain = recipe_session(recipe="features", image_size=48)
    fit_linear(plain, FOREVER)
    assert "val_macro_f1" not in next(iter(read_lines(plain.run.metrics)))


def test_a_budget_that_judging_takes_whole_still_gives_a_head_of_many_images(recipe_session):
    """The end of the pass lies in the past where no time is left: it gets a fifth instead."""
    session = recipe_session(recipe="features", image_size=48, budget=500)
    linear = carry_out.first_stage(session, Budget(time.perf_counter() - 490, 500.0))
    assert linear.images == len(session.index.split("train"))
    assert linear.val_images == len(session.index.split("val"))


@pytest.mark.parametrize(
    ("fields", "polished"),
    [
        ({"recipe": "features"}, True),
        ({"recipe": "features", "calibrate": False}, False),
        ({"recipe": "features", "calibrate": False, "optimize": AIM}, True),
        ({"recipe": "classic"}, False),
        ({"recipe": "classic", "optimize": AIM}, True),
    ],
)
def test_the_head_is_changed_where_there_is_something_to_change(fields, polished):
    assert is_polished(TrainConfig(**fields)) is polished
