"""Which view the finished model gets: the rule on made losses, and what is saved."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lacewing.config import VIEWS as WORDS_OF_THE_FLAG
from lacewing.data.batch import normalised_squares
from lacewing.data.pixels import central_square, load_pixels
from lacewing.deploy.predict import load_predictor
from lacewing.models.bundle import load_model
from lacewing.models.mirrored import Mirrored
from lacewing.results.course import VIEWS as WORDS_OF_THE_REPORT
from lacewing.training.recipe import views
from lacewing.training.recipe.linear import fit_linear
from lacewing.training.recipe.views import (
    VIEWS,
    Looked,
    Tried,
    calibrated_losses,
    choose_view,
    compared,
    seen_in,
    sentence,
    settle_view,
)

FOREVER = float("inf")
USUAL = torch.full((101,), 1.0, dtype=torch.float64)


def lower_by(gain, usual=USUAL, error=0.01):
    """Losses that are lower by `gain` in the mean, with this standard error of it."""
    noise = torch.linspace(-1, 1, len(usual), dtype=torch.float64)
    return usual - gain - noise * error * len(usual) ** 0.5 / noise.std()


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [
        ({"whole": 0.0101}, "whole"),
        ({"whole": 0.0099}, "off"),
        ({"whole": -0.5}, "off"),
        ({"whole": 0.0, "mirror": 0.0202, "both": 0.5}, "mirror"),  # the frame comes first
        ({"whole": 0.0, "mirror": 0.0198, "both": 0.5}, "off"),
        ({"mirror": 0.0202}, "mirror"),
    ],
)
def test_a_view_is_taken_where_it_shows_more_than_noise(gains, chosen):
    # by 1 standard error of 0.01 for a frame, by 2 for a mirrored view
    losses = {"off": USUAL, **{name: lower_by(gain) for name, gain in gains.items()}}
    assert choose_view(losses) == chosen


@pytest.mark.parametrize(("gain", "chosen"), [(0.0199, "off"), (0.0201, "mirror")])
def test_twice_the_time_must_lower_the_loss_by_a_share_of_it_too(gain, chosen):
    assert choose_view({"off": USUAL, "mirror": lower_by(gain, error=1e-5)}) == chosen


@pytest.mark.parametrize(("gain", "chosen"), [(0.01, "whole"), (0.03, "both")])
def test_a_mirrored_view_is_held_against_its_own_frame(gain, chosen):
    whole = lower_by(0.4)
    both = lower_by(gain, usual=whole, error=1e-5)
    assert choose_view({"off": USUAL, "whole": whole, "both": both}) == chosen


def test_equal_views_leave_all_as_it_is():
    assert choose_view(dict.fromkeys(VIEWS, USUAL)) == "off"


def test_less_confidence_alone_is_no_gain():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (200,), generator=generator)
    logits = torch.randn(200, 5, generator=generator) + 2.0 * torch.eye(5)[labels]
    looked = compared({"off": 6 * logits, "whole": 6 * logits, "mirror": logits}, labels)
    assert (looked.chosen, looked.images) == ("off", 200)
    assert [one.gain for one in looked.tried] == pytest.approx([0, 0, 0], abs=1e-4)
    accuracy = float((logits.argmax(1) == labels).float().mean())
    assert [one.accuracy for one in looked.tried] == pytest.approx([accuracy] * 3)


def test_a_view_that_is_always_right_is_held_against_others_at_its_best():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (200,), generator=generator)
    right = 0.5 * torch.eye(5)[labels]
    logits = right.clone()
    logits[:2] = -right[:2]
    looked = compared({"off": logits, "whole": right}, labels)
    assert looked.chosen == "whole"


def test_what_was_tried_is_told_in_figures():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (100,), generator=generator)
    logits = torch.randn(100, 5, generator=generator) + torch.eye(5)[labels]
    better = logits + torch.eye(5)[labels]
    looked = compared({"off": logits, "whole": better}, labels)
    gain = calibrated_losses(logits, labels) - calibrated_losses(better, labels)
    usual, whole = looked.tried
    assert looked.chosen == "whole"
    assert (whole.gain, whole.error) == pytest.approx((float(gain.mean()), float(gain.std()) / 10))
    assert usual.loss - whole.loss == pytest.approx(whole.gain)
    assert looked.as_dict()["tried"][1]["view"] == "whole"


def test_the_words_are_the_same_everywhere():
    assert ("auto", *VIEWS) == WORDS_OF_THE_FLAG
    assert tuple(VIEWS) == tuple(views.WORDS) == tuple(WORDS_OF_THE_REPORT)


def test_the_screen_says_what_was_gained_or_what_was_left():
    tried = (Tried("off", 0.5, 0.8, 0.0, 0.0), Tried("whole", 0.4, 0.9, 0.1, 0.01))
    assert "0.5000 -> 0.4000, accuracy 80.0% -> 90.0%" in sentence(Looked("whole", 60, tried))
    assert "the whole frame 0.4000" in sentence(Looked("off", 60, tried))
    assert sentence(Looked("both", 0)).endswith("the whole frame, mirrored too (--tta)")


@pytest.fixture
def fitted(recipe_session):
    session = recipe_session(recipe="features", image_size=48)
    fit_linear(session, FOREVER)
    return session


def test_each_view_is_what_it_says(fitted, monkeypatch):
    monkeypatch.setattr(views, "MOST_IMAGES", 4)
    exact = replace(fitted.plan.eval_precision, value="fp32")
    fitted.plan = replace(fitted.plan, eval_precision=exact)
    logits, labels = seen_in(fitted, tuple(VIEWS))
    rows = fitted.index.split("val")
    few = rows.take(np.linspace(0, len(rows) - 1, 4).round().astype(np.int64))
    assert labels.tolist() == few.column("label").tolist()
    network = fitted.model.eval()
    for name, view in VIEWS.items():
        rule = views.framed(fitted.preprocessing, view.whole)
        squares = np.stack([central_square(load_pixels(path, rule), 48) for path in few.paths()])
        images = normalised_squares(squares, rule)
        with torch.no_grad():
            expected = (Mirrored(network) if view.mirror else network)(images)
        torch.testing.assert_close(logits[name], expected, atol=1e-4, rtol=1e-4)
    assert not torch.equal(logits["off"], logits["whole"])


def test_the_model_is_saved_with_its_view_and_used_in_it(fitted, monkeypatch, capsys):
    before = load_model(fitted.run.model)
    looked = settle_view(fitted, ("both",))
    assert looked == Looked("both", 0)
    assert "mirrored too (--tta)" in capsys.readouterr().out
    after = load_model(fitted.run.model)
    assert after.mirror
    assert after.preprocessing.crop_fraction == 1.0
    assert all(torch.equal(after.state[name], value) for name, value in before.state.items())
    squares = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    predictor = load_predictor(fitted.run.model, "cpu")
    assert isinstance(predictor.model, Mirrored)
    mirrored = predictor.probabilities(np.ascontiguousarray(squares[:, :, ::-1]))
    assert predictor.probabilities(squares) == pytest.approx(mirrored, abs=1e-6)
    network = fitted.finished
    assert isinstance(network, Mirrored)
    assert network.network is fitted.model


def test_the_usual_view_leaves_the_file_alone(fitted):
    before = fitted.run.model.stat().st_mtime_ns
    assert settle_view(fitted, ("off",)) is None
    assert fitted.run.model.stat().st_mtime_ns == before
    assert not fitted.mirror
