"""Memory that runs out beside the step: in loading, in validation, in copying the state."""

import pytest
import torch

from lacewing.errors import TrainingError
from lacewing.hardware.fake import FakeBackend
from lacewing.hardware.fake_faults import running_out
from lacewing.store.run import read_lines
from lacewing.training import bookkeeping
from lacewing.training.adapt import open_monitor
from lacewing.training.loop import train
from lacewing.training.rate_finder import search

WORDS = {"epochs": 2, "model": "test_convnext", "image_size": 64}


def weights(session):
    return torch.cat([value.flatten() for value in session.model.state_dict().values()])


def events(session, kind):
    return [event for event in read_lines(session.run.events) if event["kind"] == kind]


@pytest.fixture
def calm(begun):
    session = begun(FakeBackend(), **WORDS, name="calm")
    train(session)
    return session


@pytest.mark.parametrize("part", ["_prepare", "_on_device"])
@pytest.mark.parametrize("workers", [2, 0])
def test_loading_goes_on_at_the_same_step_with_nothing_ahead(begun, calm, part, workers):
    session = begun(FakeBackend(), **WORDS, name="full", workers=workers)
    loader = session.train_loader
    setattr(loader, part, running_out({2}, getattr(loader, part)))
    train(session)
    assert torch.equal(weights(session), weights(calm))
    assert loader.loading.workers == 0
    (event,) = events(session, "out-of-memory")
    assert (event["field"], event["old"], event["new"]) == ("workers", workers, 0)


def test_it_may_run_out_again_at_a_later_step(begun, calm):
    session = begun(FakeBackend(), **WORDS, name="full", workers=0)
    session.train_loader._prepare = running_out({2, 4}, session.train_loader._prepare)
    train(session)
    assert torch.equal(weights(session), weights(calm))
    assert len(events(session, "out-of-memory")) == 2


def test_images_of_a_step_that_never_fit_end_the_run(begun):
    session = begun(FakeBackend(), **WORDS)
    session.train_loader._prepare = running_out(range(1, 99), session.train_loader._prepare)
    with pytest.raises(TrainingError, match=r"loading the 6 images of step 0.*--batch-size"):
        train(session)


@pytest.mark.parametrize("call", [3, 9])  # in the first epoch of four steps, and in the third
def test_the_search_for_the_rate_goes_on_with_nothing_ahead(begun, call):
    words = {**WORDS, "learning_rate": "auto"}
    expected = search(begun(FakeBackend(), **words, name="calm"))
    session = begun(FakeBackend(), **words, name="full")
    loader, planned = session.train_loader, session.plan.workers.value
    loader._on_device = running_out({call}, loader._on_device)
    assert search(session) == expected
    (event,) = events(session, "out-of-memory")
    assert (event["field"], event["old"], event["new"]) == ("workers", planned, 0)
    watch = open_monitor(session).loader
    assert (watch.workers, watch.settled) == (0, True), "training does not try what failed"


def test_a_search_whose_images_never_fit_ends_in_the_same_sentence(begun):
    session = begun(FakeBackend(), **WORDS, learning_rate="auto")
    session.train_loader._prepare = running_out(range(1, 99), session.train_loader._prepare)
    with pytest.raises(TrainingError, match=r"loading the 6 images of step 0.*--batch-size"):
        search(session)


def test_the_search_needs_a_copy_to_begin(begun, monkeypatch):
    session = begun(FakeBackend(), **WORDS, learning_rate="auto")
    monkeypatch.setattr(bookkeeping, "capture", running_out({1}, bookkeeping.capture))
    with pytest.raises(TrainingError, match=r"At step 0 there is no memory for a copy .*iB\)"):
        search(session)


def test_the_machines_memory_counts_too(begun, calm):
    session = begun(FakeBackend(), **WORDS, name="full")
    inner, calls = session.train_loader._prepare, []

    def prepare(epoch, rows):
        calls.append(epoch)
        if len(calls) == 1:
            raise MemoryError
        return inner(epoch, rows)

    session.train_loader._prepare = prepare
    train(session)
    assert torch.equal(weights(session), weights(calm))


def test_another_error_of_the_loader_is_not_tried_again(begun):
    def prepare(epoch, rows):
        raise ZeroDivisionError

    session = begun(FakeBackend(), **WORDS)
    session.train_loader._prepare = prepare
    with pytest.raises(ZeroDivisionError):
        train(session)


def test_validation_is_done_again_in_smaller_batches(begun, calm, monkeypatch):
    session = begun(FakeBackend(), **WORDS, name="full")
    squares = running_out({1}, session.val_loader._squares)  # of images that are loaded
    monkeypatch.setattr(session.val_loader, "_squares", squares)
    before = session.val_loader.batch_size
    train(session)
    assert session.val_loader.batch_size == before // 2
    (event,) = events(session, "out-of-memory")
    assert (event["field"], event["new"]) == ("eval_batch", before // 2)
    losses = [[row["val_loss"] for row in read_lines(one.run.metrics)] for one in (session, calm)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_validation_that_never_fits_ends_the_run_with_the_way_on(begun, monkeypatch):
    session = begun(FakeBackend(), **WORDS)
    failing = running_out(range(1, 99), session.val_loader._squares)
    monkeypatch.setattr(session.val_loader, "_squares", failing)
    with pytest.raises(TrainingError, match=r"in validation, in batches of 1 .*lacewing resume"):
        train(session)


def test_a_copy_that_does_not_fit_is_left_out_and_said(begun, calm, monkeypatch, capsys):
    session = begun(FakeBackend(), **WORDS, name="full")
    monkeypatch.setattr(bookkeeping, "capture", running_out({2}, bookkeeping.capture))
    train(session)
    assert torch.equal(weights(session), weights(calm))
    assert "no memory for a copy of weights and optimiser" in capsys.readouterr().err
    assert session.keeper.good.epoch == 2, "the next one is made"


def test_a_copy_is_tried_again_after_the_usual_time(begun, monkeypatch):
    session = begun(FakeBackend(), **WORDS, checkpoint_seconds=60)
    bookkeeping.checkpoint(session)
    session.keeper._kept_at -= 1000
    session.keeper.wait()
    assert session.keeper.due()
    monkeypatch.setattr(bookkeeping, "capture", running_out({1}, bookkeeping.capture))
    bookkeeping.checkpoint(session)
    assert not session.keeper.due()


def test_without_any_copy_the_run_can_not_begin(begun, monkeypatch):
    session = begun(FakeBackend(), **WORDS)
    monkeypatch.setattr(bookkeeping, "capture", running_out({1}, bookkeeping.capture))
    with pytest.raises(TrainingError, match=r"At step 0 there is no memory for a copy .*iB\)"):
        train(session)
