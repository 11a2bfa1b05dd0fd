"""Real signals, sent by the run to itself at chosen places."""

import os
import signal
import threading

import pytest
import torch

from lacewing.store.run import read_lines
from lacewing.training import loop, recovery, together, writer
from lacewing.training.begin import reopen
from lacewing.training.loop import train
from lacewing.training.signals import interrupt_on_signals, signals_wait, stop_on_signals

SAME = ("epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy")


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def rows(session):
    return [{key: row[key] for key in SAME} for row in read_lines(session.run.metrics)]


def weights(session):
    return torch.cat([value.flatten() for value in session.model.state_dict().values()])


def in_step(session, monkeypatch, number, step):
    real = loop.recoverable_step

    def stepped(session, *about):
        if session.progress.step == step:
            monkeypatch.setattr(loop, "recoverable_step", real)
            send(number)
        return real(session, *about)

    monkeypatch.setattr(loop, "recoverable_step", stepped)


def between_passes(session, monkeypatch, number, step):
    real = recovery.train_step

    def stepped(model, *rest, **more):
        first = iter([True])

        def forward(images):
            if session.progress.step == step and next(first, False):
                send(number)
            return model(images)

        return real(forward, *rest, **more)

    monkeypatch.setattr(recovery, "train_step", stepped)


def in_validation(session, monkeypatch, number, step):
    real = together.predict_logits

    def judged(model, batches, *rest):
        send(number)
        return real(model, batches, *rest)

    monkeypatch.setattr(together, "predict_logits", judged)


def in_checkpoint(session, monkeypatch, number, step):
    real = writer.save_checkpoint

    def saved(run, snapshot):
        if snapshot.step == step:
            send(number)
        return real(run, snapshot)

    monkeypatch.setattr(writer, "save_checkpoint", saved)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", [in_step, between_passes, in_validation, in_checkpoint])
def test_a_signal_anywhere_saves_and_the_resumed_run_is_the_same(begun, monkeypatch, place, number):
    fields = {"epochs": 2, "dropout": 0.2, "checkpoint_seconds": 0}
    whole, cut = begun(**fields, name="whole"), begun(**fields, name="cut")
    for session in (whole, cut):
        session.progress.micro_batch = 2
    train(whole)
    with monkeypatch.context() as patch:
        place(cut, patch, number, 2)
        ending = train(cut)
    assert not ending.finished
    assert ending.reason == f"interrupted by {signal.Signals(number).name}"
    resumed = reopen(cut.run.folder)
    assert resumed.progress.step == cut.progress.step < whole.progress.step
    resumed.progress.micro_batch = 2
    assert train(resumed).finished
    assert torch.equal(weights(resumed), weights(whole))
    assert rows(resumed) == rows(whole)


def test_a_step_of_several_passes_is_given_up_between_two(begun, monkeypatch):
    session = begun(epochs=1)
    session.progress.micro_batch = 2
    before = weights(session)
    between_passes(session, monkeypatch, signal.SIGTERM, 0)
    train(session)
    assert session.progress.step == 0
    assert torch.equal(weights(session), before)


def test_the_second_signal_ends_at_once_and_harms_nothing(begun, monkeypatch):
    session = begun(epochs=3, checkpoint_seconds=0)
    real = loop.train_batch

    def stepped(session, batch, stop):
        if session.progress.step == 2:
            send()
            send(signal.SIGINT)
        return real(session, batch, stop)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "train_batch", stepped)
        train(session)
    session.keeper.wait()
    resumed = reopen(session.run.folder)
    assert resumed.progress.step == 2
    assert train(resumed).finished


def test_the_handlers_are_put_back(begun):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(begun(epochs=1))
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_before_there_is_anything_to_save_a_signal_is_ctrl_c():
    with pytest.raises(KeyboardInterrupt), interrupt_on_signals():
        send()


def test_a_signal_waits_until_what_is_being_written_is_whole():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupt_on_signals():
        with signals_wait():
            send()
            done.append("written")
        done.append("went on")
    assert done == ["written"]


def test_outside_the_main_thread_nothing_is_caught():
    entered = []

    def enter():
        with stop_on_signals() as stop:
            entered.append(stop.asked_by)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [None]
