"""The head's strength: chosen on other images than those it is fitted to."""

import pytest
import torch

from lacewing.engine import heads as engine
from lacewing.engine.heads import LEAST_EVALUATIONS
from lacewing.training.recipe import head as heads
from lacewing.training.recipe.features import Features
from lacewing.training.recipe.head import FIRST_IMAGES, STRENGTHS, Limit, choose_head, fold_of


def features(count, width=40, noise=3.0, views=1, seed=0):
    """Three groups in many dimensions of which three matter."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    values = noise * torch.randn(views, count, width, generator=random)
    return Features(values + 4 * torch.eye(3, width)[labels], labels)


def test_noisy_features_get_a_stronger_head_than_clean_ones():
    noisy = choose_head(features(60), features(300, seed=1), 3)
    clean = choose_head(features(60, noise=0.3), features(300, noise=0.3, seed=1), 3)
    assert noisy.strength > clean.strength
    assert noisy.chosen_on == "300 validation images"


def test_the_search_ends_where_the_loss_rises(monkeypatch):
    fitted = []
    whole = heads.fit_path
    monkeypatch.setattr(
        heads,
        "fit_path",
        lambda *words: (fitted.append(1) or head for head in whole(*words)),
    )
    chosen = choose_head(features(60), features(300, seed=1), 3)
    assert len(fitted) == STRENGTHS.index(chosen.strength) + 2
    assert tuple(one.strength for one in chosen.tried) == STRENGTHS[: len(fitted)]
    assert chosen.tried[-1].loss >= chosen.tried[-2].loss == min(one.loss for one in chosen.tried)


@pytest.mark.parametrize("val", [None, features(12, seed=1)])
def test_few_validation_images_give_way_to_folds(val):
    chosen = choose_head(features(90, views=2), val, 3)
    assert chosen.chosen_on == "5 folds of the training images"
    assert chosen.strength > min(STRENGTHS)
    assert tuple(one.strength for one in chosen.tried) == STRENGTHS
    assert all(0.4 < one.accuracy <= 1 for one in chosen.tried)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for fits: a second per million rows and evaluation."""
    now = [0.0]
    whole = engine.cross_entropy

    def slow(logits, labels):
        now[0] += len(labels) / 1e6
        return whole(logits, labels)

    monkeypatch.setattr(engine, "cross_entropy", slow)
    return lambda: now[0]


MANY = FIRST_IMAGES + 3000
VAL = features(300, seed=1)


@pytest.mark.parametrize("val", [VAL, None])
def test_with_time_enough_the_head_is_that_of_all_images(clock, val):
    train = features(MANY)
    limited = choose_head(train, val, 3, Limit(1e3, clock))
    free = choose_head(train, val, 3)
    assert torch.equal(limited.head.weight, free.head.weight)
    assert (limited.images, limited.tried) == (MANY, free.tried)


@pytest.mark.parametrize("val", [VAL, None])
@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1, 0.3, 1.0])
def test_a_head_is_fitted_to_what_the_time_allows(clock, val, seconds):
    train = features(MANY)
    chosen = choose_head(train, val, 3, Limit(seconds, clock))
    least = 2 * LEAST_EVALUATIONS * FIRST_IMAGES / 1e6  # of a fold, and of the last fit
    assert clock() <= max(seconds + 2 * MANY / 1e6, least)
    assert FIRST_IMAGES <= chosen.images <= MANY
    assert chosen.tried
    logits = chosen.head(VAL.values[0])
    assert float((logits.argmax(1) == VAL.labels).float().mean()) > 0.6


def test_more_time_is_used_for_more_images(clock):
    images = [
        choose_head(features(MANY), VAL, 3, Limit(clock() + seconds, clock)).images
        for seconds in (0.0, 0.8, 10.0)
    ]
    assert images == sorted(images)
    assert (images[0], images[-1]) == (FIRST_IMAGES, MANY)


def test_one_image_of_each_class_is_enough_for_a_head():
    chosen = choose_head(features(3), None, 3)
    assert (chosen.tried, chosen.strength) == ((), max(STRENGTHS))


def test_each_fold_has_its_share_of_each_class():
    labels = torch.tensor([0] * 10 + [1] * 5 + [2])
    folds = fold_of(labels)
    assert torch.bincount(folds[labels == 0]).tolist() == [2] * 5
    assert torch.bincount(folds[labels == 1]).tolist() == [1] * 5


def test_rows_are_views_below_each_other():
    found = features(6, views=2)
    assert torch.equal(found.rows[:6], found.values[0])
    assert torch.equal(found.rows[6:], found.values[1])
    assert torch.equal(found.row_labels, torch.cat([found.labels, found.labels]))
