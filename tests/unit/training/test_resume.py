"""A run that was cut off goes on as if nothing had happened."""

import shutil

import pytest
import torch

from lacewing.errors import PlanError, RunError
from lacewing.hardware.fake import (
    FakeBackend,
    FakeDeviceLostError,
    FakeOutOfMemoryError,
    Faults,
    fake_backends,
)
from lacewing.models.bundle import load_model
from lacewing.store.run import read_lines
from lacewing.training.begin import reopen
from lacewing.training.checkpoint import KEEP, complete
from lacewing.training.find import find_run
from lacewing.training.history import is_done
from lacewing.training.loop import train

SETTINGS = {"epochs": 3, "dropout": 0.2, "warmup_epochs": 0.5}
COMPARED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate", "step")


def final(session):
    return {name: value.clone() for name, value in session.model.state_dict().items()}


def kept(session):
    return [{key: row[key] for key in COMPARED} for row in read_lines(session.run.metrics)]


def cut_off(begun, step, **fields):
    """A run whose device vanishes at a step, with a checkpoint after every step before it."""
    device = FakeBackend(faults=Faults(lost_at=step))
    session = begun(device, **SETTINGS, checkpoint_seconds=0, **fields)
    with pytest.raises(FakeDeviceLostError):
        train(session)
    return session


@pytest.mark.parametrize(
    ("optimizer", "precision"), [("sgd", "bf16"), ("adamw", "fp32"), ("rmsprop", "fp32")]
)
def test_the_result_is_the_same_to_the_bit(begun, optimizer, precision):
    words = {"optimizer": optimizer, "precision": precision}
    whole = begun(FakeBackend(), **SETTINGS, **words, name="whole")
    train(whole)
    expected, best = final(whole), load_model(whole.run.model).state
    for lost_at in (5, 12):
        broken = cut_off(begun, lost_at, **words, name=f"broken-{lost_at}")
        resumed = reopen(broken.run.folder, fake_backends(FakeBackend()))
        assert resumed.progress.step > 0
        train(resumed)
        assert all(torch.equal(value, expected[name]) for name, value in final(resumed).items())
        assert kept(resumed) == kept(whole)
        saved = load_model(resumed.run.model).state
        assert all(torch.equal(value, best[name]) for name, value in saved.items())


def test_growing_images_are_resumed_to_the_bit(begun):
    fields = {"progressive_resizing": True, "image_size": 96}
    whole = begun(FakeBackend(), **SETTINGS, **fields, name="whole")
    train(whole)
    broken = cut_off(begun, 7, **fields, name="broken")
    resumed = reopen(broken.run.folder, fake_backends(FakeBackend()))
    train(resumed)
    expected = final(whole)
    assert all(torch.equal(value, expected[name]) for name, value in final(resumed).items())
    assert kept(resumed) == kept(whole)
    for session in (whole, resumed):
        sides = [row["image_size"] for row in read_lines(session.run.metrics)]
        assert sides == [64, 64, 96]
        grown = [e for e in read_lines(session.run.events) if e["kind"] == "image-size"]
        assert {(e["old"], e["new"]) for e in grown} == {(64, 96)}


def test_an_average_of_the_weights_is_resumed_to_the_bit(begun):
    fields = {"ema": 0.9, "balance": 0.5, "focal": 1.0, "logit_adjustment": 1.0}
    whole = begun(FakeBackend(), **SETTINGS, **fields, name="whole")
    train(whole)
    broken = cut_off(begun, 9, **fields, name="broken")
    resumed = reopen(broken.run.folder, fake_backends(FakeBackend()))
    train(resumed)
    expected = whole.average.state
    assert all(torch.equal(value, expected[name]) for name, value in resumed.average.state.items())
    assert kept(resumed) == kept(whole)
    saved = load_model(whole.run.model).state
    assert any(not torch.equal(value, final(whole)[name]) for name, value in saved.items())


def test_an_epoch_has_the_seconds_of_all_its_sessions(begun):
    broken = cut_off(begun, 2)
    resumed = reopen(broken.run.folder, fake_backends(FakeBackend()))
    progress = resumed.progress
    assert 0 < progress.step_in_epoch < resumed.train_loader.steps_per_epoch
    assert progress.epoch_seconds > 0
    progress.epoch_seconds, progress.epoch_wait_seconds = 1000.0, 500.0
    train(resumed)
    first, second = list(read_lines(broken.run.metrics))[:2]
    assert first["train_seconds"] == pytest.approx(1000, abs=60)
    assert first["seconds"] == pytest.approx(1000, abs=60)
    assert first["wait_seconds"] == pytest.approx(500, abs=60)
    images = resumed.train_loader.steps_per_epoch * resumed.train_loader.batch_size
    assert first["images_per_second"] == pytest.approx(images / first["train_seconds"])
    assert second["seconds"] < 60


def test_rows_that_a_kill_left_without_a_checkpoint_are_dropped(begun):
    session = begun(epochs=3, limit_epochs=2)
    train(session)
    shutil.rmtree(complete(session.run)[0])
    resumed = reopen(session.run.folder)
    assert [row["epoch"] for row in read_lines(session.run.metrics)] == [1]
    train(resumed)
    assert [row["epoch"] for row in read_lines(session.run.metrics)] == [1, 2, 3]


def test_old_checkpoints_are_removed(begun):
    session = begun(epochs=4)
    train(session)
    assert len(list(session.run.checkpoints.iterdir())) == KEEP


def test_on_another_kind_of_machine_batch_size_and_rate_stay(begun):
    session = begun(FakeBackend(precisions=("fp32",)), epochs=3, limit_epochs=1)
    train(session)
    moved = reopen(session.run.folder)
    assert moved.plan.device.value == "cpu"
    for name in ("batch", "image_size", "learning_rate"):
        assert getattr(moved.plan, name).value == getattr(session.plan, name).value
    assert any(event["kind"] == "moved" for event in read_lines(session.run.events))
    assert train(moved).finished


def test_a_finished_run_has_nothing_to_resume(begun):
    session = begun(epochs=1)
    train(session)
    session.events.record("finished", "done")
    session.run.report.touch()
    with pytest.raises(RunError, match="nothing is left to resume"):
        reopen(session.run.folder)


def test_what_its_limit_ended_goes_on_also_where_that_is_cut_off(begun):
    session = begun(epochs=3, limit_epochs=1)
    train(session)
    session.events.record("finished", "done")
    session.run.report.touch()
    assert is_done(session.run)
    shutil.rmtree(complete(session.run)[0])  # the checkpoint of its end: an older one will do
    again = reopen(session.run.folder)
    assert not is_done(session.run)
    again.config.limit_epochs = 2  # cut off after one more epoch
    train(again)
    third = reopen(session.run.folder)
    assert third.progress.epoch == 2
    third.events.record("finished", "done")
    with pytest.raises(RunError, match="nothing is left to resume"):
        reopen(session.run.folder)


def test_a_run_without_a_checkpoint_says_so(begun):
    session = begun(epochs=1)
    with pytest.raises(RunError, match="has no checkpoint"):
        reopen(session.run.folder)


def test_the_newest_run_of_data_and_model_is_found(begun, small):
    first, second = begun(epochs=1, name="first"), begun(epochs=1, name="second")
    config = small()
    assert find_run(config.output, config.data, config.model) == second.run.folder
    with pytest.raises(RunError, match="holds no run of resnet50"):
        find_run(config.output, config.data, "resnet50")
    assert first.run.folder.is_dir()


def test_a_device_too_full_to_go_on_is_told_without_flags_that_resume_does_not_take(
    begun, monkeypatch
):
    def open_session(*args, **options):
        raise FakeOutOfMemoryError("full")

    broken = cut_off(begun, 2)
    monkeypatch.setattr("lacewing.training.begin.open_session", open_session)
    with pytest.raises(PlanError, match=r"does not fit .*: close other programs, or ") as caught:
        reopen(broken.run.folder, fake_backends(FakeBackend()))
    assert "--" not in str(caught.value)
