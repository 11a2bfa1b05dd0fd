"""The second stage: how long, at which size, and with what of the user's words."""

import math
import time
from dataclasses import replace

import pytest
import torch

from lacewing.config import TrainConfig, load_config
from lacewing.data.pixels import kept_bytes, pixel_key
from lacewing.engine.schedules import make_schedule
from lacewing.models.build import check_size
from lacewing.models.catalog import find_model
from lacewing.planning.document import load_plan, save_plan
from lacewing.planning.rules import memory
from lacewing.training.bookkeeping import load_best
from lacewing.training.distributed import Team
from lacewing.training.recipe import finetune
from lacewing.training.recipe.finetune import (
    Hurried,
    of_the_time,
    open_finetuning,
    place_of_pixels,
    stretch,
)
from lacewing.training.recipe.length import Length, training_sizes
from lacewing.training.recipe.linear import fit_linear
from lacewing.training.recipe.prepare import gentle_rate
from lacewing.training.recipe.size import Speed
from lacewing.values import Choice

FOREVER = float("inf")


def test_the_configuration_of_fine_tuning_is_in_the_run_folder(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48)
    tuned = open_finetuning(session, Length(32, 3, 9.0), FOREVER)
    saved = TrainConfig(**load_config(session.run.config))
    assert (saved.epochs, saved.eval_size, saved.freeze_norms) == (3, 48, True)
    assert (saved.head_rate, saved.decay_norms) == (1.0, False)
    assert tuned.plan.image_size.value == 32
    assert tuned.plan.learning_rate.value == pytest.approx(gentle_rate("sgd") * 6 / 32)
    assert load_plan(session.run.current_plan) == tuned.plan


def test_the_search_for_the_rate_knows_when_training_must_end(recipe_session, monkeypatch):
    known = []
    monkeypatch.setattr(finetune, "search_if_asked", lambda session: known.append(session.deadline))
    open_finetuning(recipe_session(recipe="finetune", image_size=48), Length(32, 3, 9.0), 1e9)
    assert known == [1e9]


def test_the_run_s_own_plan_fed_back_is_for_the_same_sizes(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48)
    open_finetuning(session, Length(32, 3, 9.0), FOREVER)
    again = recipe_session(recipe="finetune", image_size=None, plan=session.run.plan)
    assert again.preprocessing.image_size == again.plan.image_size.value == 48


def test_a_model_that_was_not_saved_goes_on_into_fine_tuning(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48, save_model=False)
    fit_linear(session, FOREVER)
    tuned = open_finetuning(session, Length(32, 1, 9.0), FOREVER)
    head = session.model.state_dict()
    torch.nn.init.zeros_(next(tuned.model.parameters()))  # an epoch that is no better
    load_best(tuned)
    assert all(torch.equal(v, head[k]) for k, v in tuned.model.state_dict().items())


ASKED = {
    "label_smoothing": 0.3,
    "warmup_epochs": 0.5,
    "head_rate": 5.0,
    "freeze_norms": False,
    "patience": 2,
}


def test_what_was_asked_of_fine_tuning_stands(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48, **ASKED)
    config = open_finetuning(session, Length(32, 3, 9.0), FOREVER).config
    assert {name: getattr(config, name) for name in ASKED} == ASKED


def test_a_warm_up_that_no_longer_fits_is_shortened(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48, warmup_epochs=3.0)
    assert open_finetuning(session, Length(32, 3, 9.0), FOREVER).config.warmup_epochs == 1.5


def test_fine_tuning_takes_the_rate_of_a_plan_from_a_file(recipe_session, tmp_path):
    plan = recipe_session(recipe="finetune", image_size=48).plan
    edited = replace(plan, learning_rate=Choice(0.5, "by hand", "user"))
    save_plan(edited, tmp_path / "plan.yaml")
    session = recipe_session(recipe="finetune", image_size=None, plan=tmp_path / "plan.yaml")
    tuned = open_finetuning(session, Length(32, 3, 9.0), FOREVER)
    assert tuned.plan.learning_rate.value == 0.5
    assert any("times what fine-tuning usually takes" in note for note in tuned.plan.notes)
    assert tuned.plan.pixels == plan.pixels
    assert tuned.config.eval_size == 48


def test_a_file_of_training_images_is_reserved_for_fine_tuning_only(
    recipe_session, monkeypatch, tmp_path
):
    monkeypatch.setattr(memory, "CACHE_SHARE", 0.0)
    session = recipe_session(recipe="finetune", image_size=48)
    assert session.plan.pixels.value == "disk"

    def kept():
        return {file.stem for file in (tmp_path / "cache/pixels").glob("*.u8")}

    def name(split, side):
        hashes = session.index.split(split).table["hash"].to_pylist()
        return pixel_key(hashes, replace(session.preprocessing, image_size=side))

    assert kept() == {name("val", 48)}
    open_finetuning(session, Length(32, 3, 9.0), FOREVER)
    assert kept() == {name("val", 48), name("train", 32)}


def test_validation_images_are_kept_at_their_own_size_in_fine_tuning(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48)
    session.plan = replace(session.plan, pixels=Choice("none", "", "rule"))
    rule = session.preprocessing
    training = kept_bytes(session.index.split("train"), replace(rule, image_size=32).resize_size)
    validation = kept_bytes(session.index.split("val"), rule.resize_size)
    found = place_of_pixels(session, 32)
    assert found.evidence["need_bytes"] == training + validation


def test_pixels_on_the_device_stay_there_in_fine_tuning(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48)
    session.plan = replace(session.plan, pixels=Choice("device", "", "measured"))
    assert place_of_pixels(session, 32).value == "device"


@pytest.mark.parametrize(
    ("name", "judged", "rehearsed"),
    [
        ("vit_tiny_patch16_224", 192, 192),  # built for this size
        ("halonet26t", 256, 256),  # which takes no other
        ("inception_v3", 160, 160),  # 80 would be too small
        ("dla34", 224, 128),  # multiples of 32 only
    ],
)
def test_a_step_is_rehearsed_at_a_size_that_the_network_accepts(
    recipe_session, monkeypatch, name, judged, rehearsed
):
    given = []

    def speed(model, backend, index, execution, size, batch):
        given.append(size)
        return Speed(size, 1e6)

    monkeypatch.setattr(finetune, "training_speed", speed)
    session = recipe_session(recipe="finetune", image_size=48)
    session.info = find_model(name)
    session.preprocessing = replace(session.preprocessing, image_size=judged)
    length = stretch(session, 0.1, 1000.0)
    assert given == [rehearsed]
    if not session.info.built_for_size:
        check_size(session.info, given[0])
    assert length.size >= given[0]


@pytest.mark.parametrize(
    ("judged", "sides"),
    [(224, [160, 128]), (256, [192, 160, 128]), (384, [288, 256, 224, 192]), (640, [512, 480])],
)
def test_training_images_are_a_part_smaller_than_those_judged(judged, sides):
    """Also where far larger ones were asked for than the network was pretrained on."""
    assert training_sizes(find_model("resnet18"), judged)[: len(sides)] == sides


def test_a_search_for_the_rate_has_time_set_aside(recipe_session, monkeypatch):
    monkeypatch.setattr(finetune, "training_speed", lambda *words: Speed(words[4], 6.0))
    given = []
    monkeypatch.setattr(finetune, "choose_length", lambda *words, **_: given.append(words[5]))
    for rate in (None, "auto"):
        session = recipe_session(recipe="finetune", image_size=48, learning_rate=rate)
        stretch(session, 1.0, 5000.0)
    size, largest = (training_sizes(session.info, 48)[place] for place in (-1, 0))
    assert given == [5000.0, pytest.approx(5000 - 60 * (largest / size) ** 2)]


def test_fine_tuning_starts_from_the_fitted_weights(recipe_session):
    session = recipe_session(recipe="finetune", image_size=48)
    fit_linear(session, FOREVER)
    tuned = open_finetuning(session, Length(32, 1, 9.0), FOREVER)
    expected = session.model.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in tuned.model.state_dict().items())
    assert tuned.progress.best_accuracy == session.progress.best_accuracy > 0


def test_time_that_more_epochs_would_not_use_well_is_told():
    later = time.perf_counter() + 3600
    assert "20 epochs rarely help" in of_the_time(Length(160, 20, 600.0), later, None)
    for length, deadline, asked in ((Length(160, 20, 3000.0), later, None),
                                    (Length(160, 19, 600.0), later, None),
                                    (Length(160, 30, 600.0), later, 30),
                                    (Length(160, 20, 600.0), FOREVER, None)):  # fmt: skip
        assert of_the_time(length, deadline, asked) == ""


def test_a_schedule_keeps_up_with_the_clock():
    def factor(spent):
        inner = make_schedule("cosine", steps_per_epoch=100, epochs=1)
        now = time.perf_counter()
        return Hurried(inner, 100, Team(), now - spent, now - spent + 1000).factor(10)

    assert factor(0) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.1)))
    assert factor(500) == pytest.approx(0.5, abs=0.02)
    assert factor(2000) < 0.001
