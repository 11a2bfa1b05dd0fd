"""The feature pass sees every image, in its order, in each view."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from lacewing.data.chance import order
from lacewing.engine.heads import read_head
from lacewing.models.build import apply_head, features, linear_head
from lacewing.models.bundle import load_model, restore_model
from lacewing.store.run import read_lines
from lacewing.training.recipe import features as feature_room
from lacewing.training.recipe import linear
from lacewing.training.recipe.features import feature_pass
from lacewing.training.recipe.linear import collect, fit_linear, limit_of, loader_of

FOREVER = float("inf")


@pytest.fixture
def session(recipe_session):
    return recipe_session(recipe="features", image_size=48, precision="fp32")


def whole(session):
    """All validation images as one batch."""
    batches = list(session.val_loader)
    return torch.cat([b.images for b in batches]), torch.cat([b.labels for b in batches])


def test_features_are_the_networks_own(session):
    images, labels = whole(session)
    found = collect(session, "val", 1, FOREVER)
    torch.testing.assert_close(found.values[0], features(session.model, images))
    assert torch.equal(found.labels, labels)


def test_the_second_view_is_the_mirror_image(session):
    images, _ = whole(session)
    found = collect(session, "val", 2, FOREVER)
    torch.testing.assert_close(found.values[1], features(session.model, images.flip(3)))
    assert not torch.equal(found.values[0], found.values[1])


def test_features_that_overflow_are_computed_again_in_full_precision(session, monkeypatch):
    images, _ = whole(session)
    own = features(session.model, images)

    def overflowing(model, images):
        found = features(model, images)
        return found * math.inf if torch.is_autocast_enabled("cpu") else found

    monkeypatch.setattr(feature_room, "features", overflowing)
    execution = replace(session.plan.eval_execution, precision="bf16")
    found = feature_room.features_of(session.model, images, session.backend, execution)
    assert torch.equal(found, own)


def test_training_images_come_shuffled_by_the_seed(session):
    rows = session.index.split("train")
    expected = rows.take(order(session.config.seed, 0, len(rows))).column("label")
    found = collect(session, "train", 1, FOREVER)
    assert found.labels.tolist() == np.asarray(expected).tolist()


def test_validation_images_that_may_be_cut_short_come_shuffled_too(session):
    rows = session.index.split("val")
    expected = rows.take(order(session.config.seed, 0, len(rows))).column("label").tolist()
    assert expected != rows.column("label").tolist()
    found = collect(session, "val", 1, time.perf_counter() + 1000)
    assert found.labels.tolist() == expected


def test_validation_images_leave_training_images_their_part_of_the_time(session, monkeypatch):
    ends = {}

    def noted(session, split, views, deadline):
        ends[split] = deadline
        return collect(session, split, views, deadline)

    monkeypatch.setattr(linear, "collect", noted)
    now = time.perf_counter()
    found = fit_linear(session, now + 1000)
    share = found.val_images / (found.val_images + found.views * found.images)
    assert ends["train"] == now + 1000
    assert ends["val"] - now == pytest.approx(1000 * share, abs=50)
    assert 0 < share < 0.3


def test_the_deadline_ends_the_pass_after_a_batch(session):
    rows = session.index.split("train")
    loader = loader_of(session, rows, session.preprocessing)
    found = feature_pass(
        session.model, loader, session.backend, session.plan.eval_execution, 1,
        time.perf_counter() - 1,
    )  # fmt: skip
    assert len(found.labels) == loader.batch_size < len(rows)
    assert len(found.values[0]) == loader.batch_size


def test_the_fitted_head_is_in_the_saved_network(session):
    linear = fit_linear(session, FOREVER)
    assert torch.equal(read_head(linear_head(session.model)).weight, linear.chosen.head.weight)
    model = restore_model(load_model(session.run.model))
    images, labels = whole(session)
    with torch.no_grad():
        logits = model(images)
    torch.testing.assert_close(logits, apply_head(model, features(model, images)))
    (row,) = read_lines(session.run.metrics)
    assert row["epoch"] == 0
    assert row["val_accuracy"] == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    assert row["val_accuracy"] > 0.8


def test_features_that_the_memory_has_no_room_for_are_left_out_and_it_is_said(session, monkeypatch):
    each = 3 * 4 * 2 * linear_head(session.model).weight.shape[1]
    monkeypatch.setattr(linear, "pixel_bytes", lambda _: 10 * each + 1)
    found = fit_linear(session, FOREVER)
    assert (found.views, found.images) == (2, 10)
    assert found.val_images == len(session.index.split("val"))
    (said,) = [e["message"] for e in read_lines(session.run.events) if e["kind"] == "features"]
    assert said.endswith("allows 10 of 21 train images")


@pytest.mark.parametrize(
    ("recipe", "deadline", "seconds"),
    [("features", 100.0, 40.0), ("finetune", 100.0, 20.0), ("features", 61.0, 10.0),
     ("finetune", 50.0, 10.0), ("features", FOREVER, FOREVER)],
)  # fmt: skip
def test_time_for_fitting_is_what_the_deadline_leaves(monkeypatch, recipe, deadline, seconds):
    monkeypatch.setattr("lacewing.training.recipe.linear.time.perf_counter", lambda: 60.0)
    assert limit_of(recipe, deadline, pass_seconds=40.0).deadline == 60.0 + seconds
