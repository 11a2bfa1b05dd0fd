"""A recipe from its first stage to its last."""

import math
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from lacewing.config import save_config
from lacewing.data.preprocess import Preprocessing
from lacewing.errors import RunError, TrainingError
from lacewing.hardware.ranks import Ranks
from lacewing.models.bundle import load_model, save_model
from lacewing.planning import norms
from lacewing.results.finish import evaluate_own, finish
from lacewing.store.run import read_json, read_lines
from lacewing.training import bookkeeping, loop, rate_finder
from lacewing.training import session as training_session
from lacewing.training.begin import reopen
from lacewing.training.bookkeeping import checkpoint
from lacewing.training.distributed import Team
from lacewing.training.loop import Ending
from lacewing.training.recipe import carry_out, closing, finetune, polish, views
from lacewing.training.recipe.budget import Budget, usual_seconds
from lacewing.training.recipe.carry_out import train
from lacewing.training.recipe.closing import Closing
from lacewing.training.recipe.fallback import keep_pace
from lacewing.training.recipe.length import Length
from lacewing.training.recipe.linear import fit_linear

FOREVER = float("inf")
STOP = Ending("asked to stop", finished=False)


def rows(session):
    return list(read_lines(session.run.metrics))


@pytest.fixture
def two_epochs(monkeypatch):
    """Fine-tuning of two epochs at 32 pixels, whatever the clock says."""
    monkeypatch.setattr(carry_out, "stretch", lambda *_: Length(32, 2, 1.0))


def test_features_alone_end_with_the_head(recipe_session):
    session = recipe_session(recipe="features", image_size=48)
    same, ending = train(session, time.perf_counter())
    assert same is session
    assert ending.finished
    assert [row["epoch"] for row in rows(session)] == [0]
    assert session.run.model.is_file()
    features = read_json(session.run.results)["recipe"]["features"]
    assert features["views"] == 2, "few photos"
    assert features["images"] == features["fitted_images"] == len(session.index.split("train"))


def test_fine_tuning_goes_on_from_the_head_and_keeps_the_better(recipe_session, two_epochs):
    session = recipe_session(recipe="finetune", image_size=48)
    tuned, ending = train(session, time.perf_counter())
    assert ending.finished
    assert [row["epoch"] for row in rows(session)] == [0, 1, 2]
    best = max(rows(session), key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert tuned.progress.best_epoch == best["epoch"]
    bundle = load_model(session.run.model)
    assert bundle.figures["val_accuracy"] == pytest.approx(best["val_accuracy"])
    assert bundle.preprocessing.image_size == 48
    assert tuned.train_loader._store.preprocessing.image_size == 32


def test_without_time_for_an_epoch_the_head_is_the_result(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48, budget=2)
    _, ending = train(session, time.perf_counter() - 10)
    assert ending.finished
    assert "too little for 3 epochs" in ending.reason
    kinds = [event["kind"] for event in read_lines(session.run.events)]
    assert "budget" in kinds, "the overrun is said"
    assert session.run.model.is_file()


def test_norms_stay_pretrained_in_fine_tuning_however_large_the_batch(recipe_session, monkeypatch):
    monkeypatch.setattr(norms, "LEAST_IMAGES", 2)
    recipes = (recipe_session(recipe=name, image_size=48) for name in ("finetune", "classic"))
    assert [session.config.freeze_norms for session in recipes] == [True, False]


@pytest.mark.parametrize("words", [{}, {"epochs": 5}, {"budget": 1000.0}])
def test_a_step_that_does_not_fit_leaves_the_head_and_says_so(recipe_session, monkeypatch, words):
    monkeypatch.setattr(finetune, "training_speed", lambda *_: None)
    session = recipe_session(recipe="finetune", image_size=48, **words)
    _, ending = train(session, time.perf_counter())
    assert ending.finished
    why = "there is no memory for a step of fine-tuning"
    assert ending.reason == f"a head on frozen features is fitted; {why}"
    assert session.run.model.is_file()
    assert "memory" in [event["kind"] for event in read_lines(session.run.events)]


def test_fine_tuning_has_the_device_for_itself(recipe_session, two_epochs, monkeypatch):
    session = recipe_session(recipe="finetune", image_size=48, ema=0.9)
    moved, real = [], carry_out.train_loop
    monkeypatch.setattr(session.model, "to", moved.append)

    def train_loop(tuned):
        assert (moved, session.average) == (["cpu"], None)
        return real(tuned)

    monkeypatch.setattr(carry_out, "train_loop", train_loop)
    tuned, ending = train(session, time.perf_counter())
    assert ending.finished
    assert tuned.average is not None


def test_an_interrupted_recipe_is_resumed_in_its_second_stage(recipe_session, two_epochs):
    session = recipe_session(recipe="finetune", image_size=48, limit_epochs=1)
    train(session, time.perf_counter())
    resumed, ending = train(reopen(session.run.folder), time.perf_counter())
    assert ending.finished
    assert resumed.progress.epoch == 2
    assert [row["epoch"] for row in rows(session)] == [0, 1, 2]
    # what the first stage chose was not forgotten
    assert read_json(session.run.results)["recipe"]["features"]["size"] == 48


def test_cut_off_before_its_first_step_fine_tuning_is_not_begun_again(
    recipe_session, two_epochs, monkeypatch
):
    """The checkpoint of step 0 is all there is: the head is fitted, and the length decided."""
    session = recipe_session(recipe="finetune", image_size=48)
    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "train_loop", cut_off)
        train(session, time.perf_counter())
    monkeypatch.setattr(carry_out, "fit_linear", None)  # must not be called
    monkeypatch.setattr(carry_out, "stretch", None)
    again = reopen(session.run.folder)
    assert again.train_loader._store.keep == "ram"
    resumed, ending = train(again, time.perf_counter())
    assert ending.finished
    assert [row["epoch"] for row in rows(session)] == [0, 1, 2]
    assert (resumed.config.epochs, resumed.plan.image_size.value) == (2, 32)


def cut_off(session):
    checkpoint(session)
    session.keeper.wait()
    return STOP


def test_images_are_normalised_as_the_weights_were_in_every_stage_and_after_a_resume(
    recipe_session, two_epochs, weights_file, tmp_path, monkeypatch
):
    rule = Preprocessing(image_size=48, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    file = tmp_path / "w.safetensors"
    fields = {"model": "test_resnet", "classes": [], "class_ids": [], "dropout": 0.0}
    save_model(file, load_file(weights_file),
               {**fields, "preprocessing": rule.as_dict(), "figures": {}})  # fmt: skip
    session = recipe_session(recipe="finetune", image_size=48, weights=file)
    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "train_loop", cut_off)
        tuned, _ = train(session, time.perf_counter())
    resumed = reopen(session.run.folder)
    for one in (session, tuned, resumed):
        assert (one.preprocessing.mean, one.preprocessing.std) == (rule.mean, rule.std)
        for loader in (one.train_loader, one.val_loader):
            assert loader._store.preprocessing.mean == rule.mean
            assert loader._scale[0].flatten().tolist() == pytest.approx(rule.mean)


def test_the_deadline_ends_classic_training_too(recipe_session):
    session = recipe_session(recipe="classic", epochs=1000, patience=0, budget=0.5)
    _, ending = train(session, time.perf_counter() - 60)
    assert ending.finished
    assert ending.reason == "the time is used up after 0 epochs and a part of one"
    assert session.run.model.is_file()


def test_polish_scales_the_head_and_changes_no_answer(recipe_session, monkeypatch):
    monkeypatch.setattr(polish, "LEAST_IMAGES", 5)
    monkeypatch.setattr(polish, "temperature_of", lambda *_: 0.5)
    session = recipe_session(recipe="features", image_size=48)
    fit_linear(session, FOREVER)
    before = load_model(session.run.model).state
    done = polish.polish(session)
    after = load_model(session.run.model).state
    (weight,) = [name for name in after if not torch.equal(after[name], before[name])][:1]
    torch.testing.assert_close(after[weight] * done.temperature, before[weight])
    assert done.loss_after <= done.loss_before
    assert done.macro_f1_after == done.macro_f1_before
    assert done.tau == 0.0


def test_a_budget_leaves_a_little_over():
    now = time.perf_counter()
    assert Budget(now, 100.0).end == pytest.approx(now + 99.0)
    assert usual_seconds(10.0) == 180.0
    assert usual_seconds(100.0) == 400.0


def test_a_classic_run_leaves_time_to_validate_and_to_judge(recipe_session, monkeypatch):
    monkeypatch.setattr(carry_out, "closing_seconds", lambda *_: 20.0)
    session = recipe_session(recipe="classic")
    now = time.perf_counter()
    assert carry_out.classic_deadline(session, Budget(now, 100.0)) == pytest.approx(now + 79.0)


def test_a_resumed_run_has_the_seconds_that_it_has_not_used(recipe_session, monkeypatch):
    given = []
    monkeypatch.setattr(carry_out, "train_classic", lambda _, budget: given.append(budget) or STOP)
    session = recipe_session(recipe="classic", budget=100)
    session.progress.elapsed_seconds = 30.0
    train(session, 1000.0)
    session.progress.spent_seconds = 40.0
    train(session, 1000.0)
    assert given == [Budget(970.0, 100.0), Budget(960.0, 100.0)]


def test_a_checkpoint_knows_what_the_run_has_spent(recipe_session):
    session = recipe_session(recipe="features", image_size=48, budget=1000)
    session.began -= 50.0
    checkpoint(session)
    assert session.keeper.good.plain["progress"]["spent_seconds"] == pytest.approx(50, abs=30)


def test_a_resumed_schedule_goes_on_where_the_clock_had_it(recipe_session, monkeypatch):
    """200 s of features, then fine-tuning from there to its deadline; half of it is done."""
    closing_there = Closing(usual=30.0, validation=4.0)
    monkeypatch.setattr(carry_out, "measured_closing", lambda _: closing_there)
    session = recipe_session(recipe="finetune", image_size=48, budget=600)
    now = time.perf_counter()
    session.began, session.progress.tuning_from = now - 380.0, 200.0
    carry_out.resume_clock(session, Budget(session.began, 600.0))
    assert session.deadline == pytest.approx(now - 380 + 594 - 34, abs=1)
    assert session.schedule.started == pytest.approx(now - 180, abs=1)
    share = (now - session.schedule.started) / (session.deadline - session.schedule.started)
    assert share == pytest.approx(0.5, abs=0.01)


def test_a_late_resume_makes_a_step_where_there_is_no_model_yet(recipe_session, monkeypatch):
    session = recipe_session(recipe="classic", epochs=9, budget=500)
    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "train_loop", cut_off)
        session.progress.step = session.progress.step_in_epoch = 1
        train(session, time.perf_counter())
    resumed, ending = train(reopen(session.run.folder), time.perf_counter() - 1000)
    assert ending.reason.startswith("the time is used up")
    assert resumed.run.model.is_file()


def test_the_view_is_chosen_before_the_calibration_which_is_of_it(recipe_session, monkeypatch):
    for room in (closing, polish):
        monkeypatch.setattr(room, "LEAST_IMAGES", 5)
    monkeypatch.setattr(views, "choose_view", lambda losses: "both")
    session = recipe_session(recipe="features", image_size=48)
    train(session, time.perf_counter())
    bundle = load_model(session.run.model)
    assert (bundle.mirror, bundle.preprocessing.crop_fraction) == (True, 1.0)
    found = read_json(session.run.results)["recipe"]
    assert found["views"]["chosen"] == "both"
    by_view = {one["view"]: one["loss"] for one in found["views"]["tried"]}
    assert list(by_view) == ["off", "whole", "mirror", "both"]
    assert found["polish"]["loss_after"] == pytest.approx(by_view["both"], abs=2e-3)
    judged = finish(session, Ending("done", finished=True))
    assert judged is not None
    again = evaluate_own(session.run)
    assert again.probabilities == pytest.approx(judged.probabilities, abs=1e-5)


def test_a_classic_training_gets_the_view_that_was_asked_for_and_nothing_else(recipe_session):
    session = recipe_session(recipe="classic", epochs=1, tta="mirror")
    train(session, time.perf_counter())
    assert load_model(session.run.model).mirror
    expected = {"chosen": "mirror", "images": 0, "tried": []}
    assert read_json(session.run.results) == {"recipe": {"views": expected, "settled": 3}}


def test_a_classic_training_is_left_alone_otherwise(recipe_session):
    session = recipe_session(recipe="classic", epochs=1)
    assert session.config.tta == "off"
    train(session, time.perf_counter())
    assert not load_model(session.run.model).mirror
    assert not session.run.results.exists()


def test_the_feature_pass_leaves_time_to_judge_and_a_late_end_is_foretold(
    recipe_session, monkeypatch
):
    given = []
    monkeypatch.setattr(carry_out, "fit_linear", lambda session, end: given.append(end))
    monkeypatch.setattr(carry_out, "note_features", lambda *_: None)
    monkeypatch.setattr(carry_out, "closing_seconds", lambda *_: 20.0)
    session = recipe_session(recipe="features", image_size=48)
    now = time.perf_counter()
    carry_out.first_stage(session, Budget(now, 100.0))
    assert given[0] - now == pytest.approx(0.8 * 79, abs=1)
    carry_out.first_stage(session, Budget(now, 10.0))
    late = list(read_lines(session.run.events))[-1]
    assert (late["kind"], "after the budget" in late["message"]) == ("budget", True)
    assert given[1] - time.perf_counter() == pytest.approx(2, abs=1), "a fifth, not a past end"


def test_the_time_that_a_recipe_gave_itself_holds_for_its_resumed_run(
    recipe_session, two_epochs, monkeypatch
):
    session = recipe_session(recipe="finetune", image_size=48)
    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "train_loop", cut_off)
        train(session, time.perf_counter())
    again = reopen(session.run.folder)
    assert again.progress.allowed_seconds == 180.0
    given = []
    monkeypatch.setattr(carry_out, "resume_clock", lambda _, budget: given.append(budget.seconds))
    monkeypatch.setattr(carry_out, "train_loop", lambda _: STOP)
    train(again, time.perf_counter())
    assert given == [180.0]


def test_what_was_settled_before_judging_was_cut_off_is_not_settled_again(
    recipe_session, two_epochs, monkeypatch
):
    for room in (closing, polish):
        monkeypatch.setattr(room, "LEAST_IMAGES", 5)
    monkeypatch.setattr(views, "choose_view", lambda losses: "both")
    monkeypatch.setattr(polish, "temperature_of", lambda *_: 0.5)
    session = recipe_session(recipe="finetune", image_size=48)
    session, _ = train(session, time.perf_counter())
    model, noted = session.run.model.read_bytes(), read_json(session.run.results)
    assert noted["recipe"]["polish"]["temperature"] != 1.0
    resumed, ending = train(reopen(session.run.folder), time.perf_counter())
    assert ending.finished
    assert resumed.run.model.read_bytes() == model
    assert read_json(resumed.run.results) == noted
    assert resumed.mirror
    assert resumed.preprocessing.crop_fraction == 1.0


def test_what_the_clock_ended_is_not_trained_or_settled_again(
    recipe_session, two_epochs, monkeypatch
):
    for room in (closing, polish):
        monkeypatch.setattr(room, "LEAST_IMAGES", 5)
    monkeypatch.setattr(views, "choose_view", lambda losses: "both")
    monkeypatch.setattr(polish, "temperature_of", lambda *_: 0.5)
    session = recipe_session(recipe="finetune", image_size=48)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "out_of_time", lambda s: s.progress.epoch >= 1)
        session, ending = train(session, time.perf_counter())
    assert ending.reason == "the time is used up after 1 epoch"
    model, noted = session.run.model.read_bytes(), read_json(session.run.results)
    for started in (time.perf_counter(), time.perf_counter() - 1000):
        resumed, again = train(reopen(session.run.folder), started)
        assert again == ending
        assert [row["epoch"] for row in rows(resumed)] == [0, 1]
        assert resumed.run.model.read_bytes() == model
        assert read_json(resumed.run.results) == noted
        assert resumed.mirror
        assert resumed.preprocessing.crop_fraction == 1.0


def test_a_run_that_the_clock_ended_and_that_is_judged_has_nothing_to_resume(
    recipe_session, two_epochs, monkeypatch
):
    session = recipe_session(recipe="finetune", image_size=48, evaluate=False)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "out_of_time", lambda s: s.progress.epoch >= 1)
        session, ending = train(session, time.perf_counter())
    finish(session, ending)
    with pytest.raises(RunError, match="nothing is left to resume"):
        reopen(session.run.folder)


def test_a_recipe_that_its_limit_ended_goes_on_and_is_settled_anew(recipe_session, two_epochs):
    session = recipe_session(recipe="finetune", image_size=48, limit_epochs=1, evaluate=False)
    session, ending = train(session, time.perf_counter())
    finish(session, ending)
    first = read_json(session.run.results)["recipe"]["settled"]
    resumed, _ = train(reopen(session.run.folder), time.perf_counter())
    assert [row["epoch"] for row in rows(resumed)] == [0, 1, 2]
    assert read_json(resumed.run.results)["recipe"]["settled"] == 2 * first


def refused(*_):
    raise OSError("File too large")


def test_a_head_that_can_not_be_written_ends_no_run(recipe_session, monkeypatch):
    monkeypatch.setattr(bookkeeping, "save_model", refused)
    session = recipe_session(recipe="features", image_size=48)
    begins_anew = r"^The head is fitted, but .* can't be written into .* begins it anew"
    with pytest.raises(TrainingError, match=begins_anew):
        train(session, time.perf_counter())
    assert not session.run.model.exists()


def test_finished_weights_that_can_not_be_written_are_made_again_by_a_resume(
    recipe_session, two_epochs, monkeypatch
):
    monkeypatch.setattr(polish, "LEAST_IMAGES", 5)
    monkeypatch.setattr(polish, "temperature_of", lambda *_: 0.5)
    session = recipe_session(recipe="finetune", image_size=48)
    with monkeypatch.context() as patch:
        patch.setattr(
            carry_out, "mix", lambda *_: patch.setattr(bookkeeping, "save_model", refused)
        )
        with pytest.raises(TrainingError, match=r"2 of 2 epochs are done, but .* goes on from"):
            train(session, time.perf_counter())
    trained = load_model(session.run.model).state
    resumed, ending = train(reopen(session.run.folder), time.perf_counter())
    assert ending.finished
    assert read_json(resumed.run.results)["recipe"]["polish"]["temperature"] == 0.5
    polished = load_model(session.run.model).state
    assert any(not torch.equal(value, trained[name]) for name, value in polished.items())


def test_a_recipe_that_changes_nothing_in_the_end_is_settled_too(recipe_session, two_epochs):
    session = recipe_session(recipe="finetune", image_size=48, calibrate=False, tta="off")
    session, _ = train(session, time.perf_counter())
    assert read_json(session.run.results)["recipe"]["settled"] == session.progress.step


def test_a_late_resume_judges_the_epoch_that_had_begun_and_begins_none(recipe_session, monkeypatch):
    session = recipe_session(recipe="classic", epochs=9, budget=500)
    save_config(replace(session.config, recipe="auto", epochs=10), session.run.asked)
    now = time.perf_counter()
    session.began, session.deadline = now - 600.0, now - 100.0
    keep_pace(session)
    assert session.deadline > now + 1.0, "there is no model yet"
    session.run.model.touch()
    for begun, later in ((1, 1.0), (0, -100.0)):
        session.progress.step_in_epoch, session.deadline = begun, now - 100.0
        keep_pace(session)
        assert session.deadline == pytest.approx(now + later, abs=0.5)


def test_a_classic_training_that_auto_fell_back_on_keeps_pace_with_its_budget(recipe_session):
    words = {"epochs": 9, "budget": 100.0, "image_size": 48}
    for asked, kept in (("auto", True), ("classic", False)):
        session = recipe_session(recipe="classic", name=asked, **words)
        save_config(replace(session.config, recipe=asked, epochs=10), session.run.asked)
        session.began, session.deadline = time.perf_counter() - 7.0, time.perf_counter() + 50.0
        keep_pace(session)
        assert isinstance(session.schedule, finetune.Hurried) == kept
    assert session.progress.tuning_from is None


def not_a_number(logits, labels):
    return logits.sum() * math.nan


@pytest.fixture
def hopeless(monkeypatch):
    """Fine-tuning whose loss is never finite."""
    monkeypatch.setattr(training_session, "loss_of", lambda *_: not_a_number)


def test_a_fine_tuning_that_can_not_go_on_ends_with_the_head(
    recipe_session, two_epochs, hopeless, monkeypatch
):
    monkeypatch.setattr(polish, "LEAST_IMAGES", 5)
    session = recipe_session(recipe="finetune", image_size=48)
    session, ending = train(session, time.perf_counter())
    assert ending == carry_out.GAVE_UP
    found = read_json(session.run.results)["recipe"]
    assert found["given_up"]["reason"].startswith("The loss became nan")
    assert "polish" in found
    assert "blend" not in found
    assert "gave-up" in [event["kind"] for event in read_lines(session.run.events)]
    assert finish(session, ending) is not None
    assert read_json(session.run.results)["training"]["best_epoch"] == 0


def test_a_fine_tuning_that_was_given_up_is_not_tried_again_by_a_resume(
    recipe_session, two_epochs, hopeless, monkeypatch
):
    monkeypatch.setattr(polish, "LEAST_IMAGES", 5)
    monkeypatch.setattr(polish, "temperature_of", lambda *_: 0.5)
    session = recipe_session(recipe="finetune", image_size=48)
    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "settle", lambda *_: None)
        train(session, time.perf_counter())
    monkeypatch.setattr(carry_out, "train_loop", None)  # must not be called
    settled, ending = train(reopen(session.run.folder), time.perf_counter())
    assert ending == carry_out.GAVE_UP
    model = settled.run.model.read_bytes()
    again, ending = train(reopen(session.run.folder), time.perf_counter())
    assert ending == carry_out.GAVE_UP
    assert again.run.model.read_bytes() == model, "settled once"


def test_a_search_that_can_not_go_on_leaves_the_head_too(recipe_session, two_epochs, monkeypatch):
    def full(*_):
        raise TrainingError("no memory")

    monkeypatch.setattr(rate_finder, "recoverable_step", full)
    session = recipe_session(recipe="finetune", image_size=48, learning_rate="auto")
    same, ending = train(session, time.perf_counter())
    assert same is session
    assert ending == carry_out.GAVE_UP


def test_of_several_processes_a_fine_tuning_that_can_not_go_on_ends_the_run(recipe_session):
    def fails():
        raise TrainingError("no memory")

    session = recipe_session(recipe="finetune", image_size=48)
    session.team = Team(Ranks(0, 2))
    with pytest.raises(TrainingError):
        carry_out.tune(session, fails)
    assert not carry_out.given_up(session)
