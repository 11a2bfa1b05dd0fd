"""What the trial expected, held against what was taken: of the epochs, and with the judging."""

from dataclasses import replace

import pytest

from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.results.finish import finish, held_with_judging, show_answer, summary
from lacewing.store.run import append_line, read_json
from lacewing.training import loop
from lacewing.training.begin import begin
from lacewing.training.loop import Ending, train
from lacewing.training.setup import prepare
from lacewing.training.trial import with_trial


@pytest.fixture
def tried(small):
    """`tried(evaluate=False)`: a session whose plan was measured on a fake GPU."""

    def make(**words):
        backends = fake_backends(FakeBackend())
        config = small(threads=1, trial=True, **words)
        return begin(with_trial(prepare(config, backends), backends), backends)

    return make


def test_the_run_with_its_judging_is_compared_on_the_screen_too(tried, capsys):
    session = tried()
    judged = finish(session, train(session))
    training = read_json(session.run.results)["training"]
    forecast = session.plan.measured.forecast
    assert training["forecast_run_seconds"] == pytest.approx(forecast["run_seconds"], abs=0.01)
    assert training["run_seconds"] > training["epochs_seconds"]
    show_answer(session.run, judged)
    assert "expected for the epochs" in capsys.readouterr().out
    session.mirror = True
    assert held_with_judging(session, training, {"test": judged}) == {}, (
        "twice the passes were not forecast"
    )


def test_a_run_that_is_not_judged_has_its_epochs_compared_only(tried):
    session = tried(evaluate=False)
    finish(session, train(session))
    training = read_json(session.run.results)["training"]
    assert "forecast_seconds" in training and "forecast_run_seconds" not in training


def test_without_a_test_split_the_screen_has_the_figures_of_validation(tried, capsys):
    session = tried(test_share=0.0)
    judged = finish(session, train(session))
    assert judged is None
    capsys.readouterr()
    show_answer(session.run, judged)
    shown = capsys.readouterr().out
    assert "validation images" in shown and "macro F1" in shown
    assert "the best epoch was chosen on" in shown and "test images" not in shown


def test_of_an_epoch_that_the_clock_ended_its_part_was_expected(tried, monkeypatch):
    monkeypatch.setattr(loop, "out_of_time", lambda session: session.progress.step >= 4)
    session = tried(epochs=9, evaluate=False)
    finish(session, train(session))
    forecast = session.plan.measured.forecast
    expected = forecast["first_epoch_seconds"] + forecast["epoch_seconds"] / 3
    training = read_json(session.run.results)["training"]
    assert session.train_loader.steps_per_epoch == 3
    assert training["forecast_seconds"] == pytest.approx(expected)


def test_the_speed_is_of_training_not_of_the_pass_to_features(begun):
    session, ending = begun(), Ending("3 of 3 epochs done", finished=True)
    append_line(session.run.metrics, {"epoch": 0, "images_per_second": 900.0})
    assert summary(session, ending)["images_per_second"] == 900.0
    append_line(session.run.metrics, {"epoch": 1, "images_per_second": 100.0})
    assert summary(session, ending)["images_per_second"] == 100.0


def test_without_a_trial_there_is_nothing_to_compare(tried):
    session = tried()
    train(session)
    session.plan = replace(session.plan, measured=None)
    assert held_with_judging(session, {}, {}) == {}
