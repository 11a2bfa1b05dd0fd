"""What comes after the last step, in seconds."""

from dataclasses import replace

import pytest

from lacewing.store.run import read_lines
from lacewing.training.recipe import closing
from lacewing.training.recipe.budget import Budget
from lacewing.training.recipe.closing import (
    LEEWAY,
    REPORT_SECONDS,
    SHOWN_IMAGES,
    Closing,
    closing_of,
)
from lacewing.training.recipe.finetune import open_finetuning
from lacewing.training.recipe.length import Length

ALL = ("off", "whole", "mirror", "both")
DONE = Closing(usual=20.0, frames=2.0, mirror=10.0)


def test_views_are_tried_as_far_as_the_time_goes():
    assert DONE.affordable(32.0) == ALL
    assert DONE.affordable(31.9) == ("off", "whole")
    assert DONE.affordable(22.0) == ("off", "whole")
    assert DONE.affordable(21.9) == ("off",)
    assert DONE.affordable(-1.0) == ("off",)


def test_time_is_set_aside_for_what_takes_a_small_share_of_it():
    assert DONE.reserved(200.0) == pytest.approx(20 + LEEWAY * 2)
    assert DONE.reserved(40.0) == pytest.approx(20 + LEEWAY * 2)
    assert DONE.reserved(39.0) == 20.0
    mixed = replace(DONE, means=5.0)
    assert mixed.reserved(100.0) == pytest.approx(20 + LEEWAY * 7)
    assert mixed.reserved(99.0) == pytest.approx(20 + LEEWAY * 2)


def test_what_is_set_aside_is_enough_for_frames_and_nothing_is_for_mirrored_views():
    assert DONE.affordable(DONE.reserved(200.0)) == ("off", "whole")


def test_the_time_counts_every_pass():
    usual = REPORT_SECONDS + 3.0 + 7.0
    plain = Closing(usual, validation=3.0)
    assert closing_of("off", 500, 3.0, 7.0) == plain
    assert closing_of("whole", 500, 3.0, 7.0) == plain
    assert closing_of("both", 500, 3.0, 7.0) == replace(plain, usual=usual + 10.0)
    # two frames; each mirrored, then calibrated and judged twice as long
    assert closing_of("auto", 500, 3.0, 7.0) == replace(plain, frames=6.0, mirror=16.0)
    # of many images a thousand are compared
    assert closing_of("auto", 4000, 3.0, 7.0) == replace(plain, frames=1.5, mirror=11.5)
    assert closing_of("auto", 49, 3.0, 7.0) == plain
    # the best epoch and two means
    assert closing_of("off", 500, 3.0, 7.0, mixes=True) == replace(plain, means=9.0)
    assert closing_of("off", 49, 3.0, 7.0, mixes=True) == plain


def test_a_handful_of_validation_images_chooses_no_view(recipe_session):
    session = recipe_session(recipe="features", image_size=48)
    assert closing.views_to_try(session, None) == ("off",)


def test_without_time_the_usual_view_stays_and_it_is_said(recipe_session, monkeypatch):
    monkeypatch.setattr(closing, "LEAST_IMAGES", 5)
    session = recipe_session(recipe="features", image_size=48)
    assert session.config.tta == "auto"
    assert closing.views_to_try(session, None) == ALL
    assert closing.views_to_try(session, Budget(0.0, 1.0)) == ("off",)
    assert "no time is left" in list(read_lines(session.run.events))[-1]["message"]


def test_a_network_that_sees_the_whole_frame_anyway_has_no_other(recipe_session, monkeypatch):
    monkeypatch.setattr(closing, "LEAST_IMAGES", 5)
    session = recipe_session(recipe="features", image_size=48)
    session.preprocessing = closing.replace(session.preprocessing, crop_fraction=1.0)
    assert closing.views_to_try(session, None) == ("off", "mirror")


def test_what_was_asked_for_is_not_compared(recipe_session):
    session = recipe_session(recipe="features", image_size=48, tta="both")
    assert closing.views_to_try(session, Budget(0.0, 1.0)) == ("both",)


def test_what_comes_after_the_last_step_is_counted_in_full(recipe_session, monkeypatch):
    monkeypatch.setattr(closing, "judging_seconds", lambda _session, images, *_: float(images))
    monkeypatch.setattr(closing, "decode_seconds", lambda *_: 0.1)
    session = recipe_session(recipe="features", image_size=48, tta="off")
    validation, test = (len(session.index.split(name)) for name in ("val", "test"))
    budget = Budget(0.0, 1000.0)
    whole = REPORT_SECONDS + 2 * validation + test + 0.1 * SHOWN_IMAGES
    assert closing.closing_seconds(session, budget) == pytest.approx(whole)
    session.config.evaluate, session.closing = False, None
    assert closing.closing_seconds(session, budget) == pytest.approx(REPORT_SECONDS + validation)


def test_what_comes_after_the_last_step_is_timed_once(recipe_session, monkeypatch):
    session = recipe_session(recipe="finetune", image_size=48)
    found = closing.measured_closing(session)
    monkeypatch.setattr(closing, "closing_here", None)  # must not be called
    tuned = open_finetuning(session, Length(32, 1, 1.0), float("inf"))
    assert closing.measured_closing(tuned) is closing.measured_closing(session) is found


def test_without_a_budget_nothing_is_timed(recipe_session, monkeypatch):
    monkeypatch.setattr(closing, "LEAST_IMAGES", 5)
    monkeypatch.setattr(closing, "closing_here", None)  # must not be called
    session = recipe_session(recipe="features", image_size=48)
    assert closing.views_to_try(session, None) == ALL
    assert closing.has_time_to_mix(session, None)
