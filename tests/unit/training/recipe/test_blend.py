"""The mean of the weights before and after fine-tuning."""

import time

import pytest
import torch

from lacewing.models.bundle import load_model
from lacewing.store.run import read_json
from lacewing.training.begin import reopen
from lacewing.training.recipe import blend as blending
from lacewing.training.recipe import carry_out
from lacewing.training.recipe.blend import (
    SHARES,
    Blend,
    Mean,
    best_of,
    blend,
    mean_of,
    sentence,
    start_of,
)
from lacewing.training.recipe.budget import Budget
from lacewing.training.recipe.carry_out import train
from lacewing.training.recipe.finetune import open_finetuning
from lacewing.training.recipe.length import Length
from lacewing.training.recipe.linear import fit_linear
from lacewing.training.state import copied

FOREVER = float("inf")


@pytest.fixture
def tuned(recipe_session, monkeypatch):
    """`tuned()`: a session whose weights have moved from the fitted head's."""
    monkeypatch.setattr(blending, "LEAST_IMAGES", 5)

    def move(**fields):
        session = recipe_session(recipe="finetune", image_size=48, **fields)
        fit_linear(session, FOREVER)
        opened = open_finetuning(session, Length(32, 1, 9.0), FOREVER)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in opened.model.parameters():
                weight += 0.01 * torch.randn(weight.shape, generator=generator)
        opened.progress.step = 1
        return opened

    return move


@pytest.fixture
def losses(monkeypatch):
    """`losses(best, *means)`: what the weights of the best epoch and the means are judged by."""

    def say(*values):
        found = dict(zip((None, *SHARES), values, strict=True))
        monkeypatch.setattr(
            blending, "judged", lambda *words: Mean(words[-1], found[words[-1]], 0.5, 0.5)
        )

    return say


def test_a_mean_is_on_the_line_and_counters_are_the_tuned_ones():
    start = {"w": torch.tensor([0.0, 4.0]), "seen": torch.tensor(3)}
    end = {"w": torch.tensor([4.0, 0.0]), "seen": torch.tensor(9)}
    mixed = mean_of(start, end, 0.75)
    assert mixed["w"].tolist() == [3.0, 1.0]
    assert mixed["seen"] == 9


def test_the_mean_with_the_lowest_loss_is_the_model(tuned, losses, capsys):
    session = tuned()
    losses(0.4, 0.35, 0.3)
    expected = mean_of(session.start_weights, copied(session.model.state_dict()), 0.5)
    found = blend(session)
    assert (found.chosen, [one.loss for one in found.tried]) == (0.5, [0.4, 0.3, 0.35])  # by share
    saved = load_model(session.run.model).state
    assert all(torch.equal(saved[name], value) for name, value in expected.items())
    assert "0.5 of the fine-tuned" in capsys.readouterr().out


def test_the_best_epoch_stays_where_no_mean_is_better(tuned, losses):
    session = tuned()
    before = session.run.model.read_bytes()
    losses(0.3, 0.35, 0.31)
    assert blend(session).chosen is None
    assert session.run.model.read_bytes() == before


def test_with_macro_f1_as_the_aim_it_decides_and_the_loss_only_among_equals():
    tried = [Mean(0.75, 0.5, 0.9, 0.7), Mean(0.5, 0.4, 0.9, 0.7), Mean(None, 0.3, 0.9, 0.6)]
    assert best_of(tried, "macro-f1").share == 0.5
    assert best_of(tried, "accuracy").share is None


def test_each_mean_is_judged_in_the_network(tuned, monkeypatch):
    session, seen = tuned(), []
    start, end = session.start_weights, copied(session.model.state_dict())
    judge = blending.predict_logits

    def note(model, *words):
        seen.append(copied(model.state_dict()))
        return judge(model, *words)

    monkeypatch.setattr(blending, "predict_logits", note)
    found = blend(session)
    expected = [*(mean_of(start, end, share) for share in SHARES), start]
    for state, wanted in zip(seen, expected, strict=True):
        assert all(torch.equal(state[name], value) for name, value in wanted.items())
    assert found.tried[0].accuracy == pytest.approx(session.progress.best_accuracy)


def test_a_share_that_was_asked_for_is_taken_unseen(tuned, capsys):
    session = tuned(wise_ft=0.25)
    expected = mean_of(session.start_weights, copied(session.model.state_dict()), 0.25)
    assert blend(session) == Blend(0.25, 0, ())
    assert "0.25 of the fine-tuned, the rest of those before (--wise-ft)" in capsys.readouterr().out
    saved = load_model(session.run.model).state
    assert all(torch.equal(saved[name], value) for name, value in expected.items())


def test_of_equal_losses_a_mean_is_named(tuned, losses):
    # an interrupted run finds the mean in the place of its best epoch
    session = tuned()
    losses(0.3, 0.4, 0.3)
    assert blend(session).chosen == 0.5


def test_a_damaged_file_of_the_start_is_told(tuned, capsys):
    session = tuned()
    session.start_weights = None
    session.run.start.write_bytes(b"no weights")
    assert blend(session) is None
    assert "start.safetensors can't be read" in capsys.readouterr().err


def test_means_that_would_be_late_are_left_out(tuned, monkeypatch):
    session = tuned(budget=30.0)
    carry_out.mix(session, Budget(time.perf_counter() - 60, 30.0))
    assert read_json(session.run.results)["recipe"]["blend"] == {}
    assert "no time is left to compare means" in session.run.events.read_text()


def test_a_resumed_run_knows_what_it_started_from(tuned):
    session = tuned()
    kept, session.start_weights = session.start_weights, None
    found = start_of(session)
    assert all(torch.equal(found[name], value) for name, value in kept.items())


@pytest.mark.parametrize("lacking", ["flag", "step", "images", "start"])
def test_nothing_is_mixed_without_what_it_takes(tuned, monkeypatch, lacking):
    session = tuned(wise_ft=1.0 if lacking == "flag" else "auto")
    if lacking == "step":
        session.progress.step = 0
    if lacking == "images":
        monkeypatch.setattr(blending, "LEAST_IMAGES", 10_000)
    if lacking == "start":
        session.start_weights = None
        session.run.start.unlink()
    assert blend(session) is None


def test_a_disk_that_refuses_costs_a_resumed_run_the_choice_only(tuned, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blending, "save_file", full)
    session = tuned()
    assert "start.safetensors can't be written" in capsys.readouterr().err
    assert blend(session) is not None


def test_a_recipe_ends_with_it_and_notes_it(recipe_session, monkeypatch):
    monkeypatch.setattr(blending, "LEAST_IMAGES", 5)
    monkeypatch.setattr(carry_out, "stretch", lambda *_: Length(32, 1, 1.0))
    session = recipe_session(recipe="finetune", image_size=48)
    train(session, time.perf_counter())
    noted = read_json(session.run.results)["recipe"]["blend"]
    assert [one["share"] for one in noted["tried"]] == [None, *SHARES[::-1]]
    losses = {one["share"]: one["loss"] for one in noted["tried"]}
    assert losses[noted["chosen"]] == min(losses.values())
    assert reopen(session.run.folder).run.model.is_file()


def test_the_screen_says_what_was_gained_or_what_was_left():
    tried = (Mean(None, 0.4, 0.9, 0.8), Mean(0.5, 0.3, 0.95, 0.7), Mean(0.75, 0.35, 0.94, 0.6))
    assert sentence(Blend(0.5, 200, tried)) == (
        "weights: 0.5 of the fine-tuned and 0.5 of those before, by 200 validation images: loss "
        "0.4000 -> 0.3000, accuracy 90.0% -> 95.0%"
    )
    assert sentence(Blend(None, 200, tried)) == (
        "weights: those of the best epoch (loss 0.4000; means, 0.5: 0.3000, 0.75: 0.3500)"
    )
