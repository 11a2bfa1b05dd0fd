"""Stages after training, and the feature pass, where loading a batch exhausts the memory."""

import pytest
import torch

from lacewing.data.eval_loader import EvalLoader
from lacewing.results.evaluate import judge
from lacewing.results.finish import best_model
from lacewing.training.recipe import polish
from lacewing.training.recipe.blend import images_to_judge, judged
from lacewing.training.recipe.linear import collect, fit_linear
from lacewing.training.recipe.views import seen_in
from lacewing.training.state import copied

FOREVER = float("inf")


@pytest.fixture
def fitted(recipe_session):
    session = recipe_session(recipe="features", image_size=48)
    fit_linear(session, FOREVER)
    return session


@pytest.fixture
def fill(monkeypatch):
    """`fill()`: the memory holds at most two images of a batch from now on."""

    def start():
        inner = EvalLoader._squares

        def squares(self, rows):
            if len(rows) > 2:
                raise MemoryError
            return inner(self, rows)

        monkeypatch.setattr(EvalLoader, "_squares", squares)

    return start


def of_views(session):
    logits, _ = seen_in(session, ("off", "mirror"))
    return torch.stack(list(logits.values()))


def of_a_mean(session):
    found = judged(session, images_to_judge(session), copied(session.model.state_dict()), 0.5)
    return torch.tensor([found.loss, found.accuracy])


def of_judging(session):
    found = judge(best_model(session), session.index.split("val"), "judging")
    return torch.from_numpy(found.probabilities)


@pytest.mark.parametrize(
    "figures",
    [lambda session: collect(session, "train", 2, FOREVER).values, of_views, of_a_mean, of_judging],
    ids=["features", "views", "blend", "judging"],
)
def test_smaller_batches_give_the_same_figures(fitted, fill, figures):
    expected = figures(fitted)
    fill()
    torch.testing.assert_close(figures(fitted), expected, atol=1e-4, rtol=1e-4)


def test_a_model_is_calibrated_in_smaller_batches_too(fitted, fill):
    fill()
    assert polish.fitted(fitted).loss_before > 0
