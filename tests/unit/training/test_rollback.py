"""A loss that is not finite sends the run back, a few times."""

from dataclasses import replace

import pytest
import torch
from torch.nn import BatchNorm2d

from lacewing.engine.step import StepResult
from lacewing.errors import TrainingError
from lacewing.hardware.fake import FakeBackend
from lacewing.store.run import read_lines
from lacewing.training import bookkeeping, loop, meter
from lacewing.training.loop import train
from lacewing.training.meter import MAX_OVERFLOWS, Meter, NotFiniteError
from lacewing.training.rollback import MAX_ROLLBACKS, roll_back
from lacewing.training.state import Progress


def events(session, kind):
    return [event for event in read_lines(session.run.events) if event["kind"] == kind]


def poisoned(monkeypatch, session, steps):
    """At each of these steps, counted over all attempts, loss and weights become NaN."""
    real, done = loop.recoverable_step, []

    def step(session, *about):
        result = real(session, *about)
        done.append(result)
        if len(done) not in steps:
            return result
        with torch.no_grad():
            next(session.model.parameters()).fill_(float("nan"))
        return replace(result, loss=result.loss * float("nan"))

    monkeypatch.setattr(loop, "recoverable_step", step)


def spoilt_after(monkeypatch, session, steps, tensors):
    """After so many steps one of the network's tensors, which `tensors` finds, becomes infinite."""
    real, done = loop.recoverable_step, []

    def step(session, *about):
        result = real(session, *about)
        done.append(result)
        if len(done) == steps:
            with torch.no_grad():
                next(tensors(session.model)).fill_(float("inf"))
        return result

    monkeypatch.setattr(loop, "recoverable_step", step)


def test_it_goes_back_to_the_last_good_state_at_half_the_rate(begun, monkeypatch):
    calm = begun(epochs=2, name="calm", scheduler="none")
    train(calm)
    session = begun(epochs=2, name="poisoned", scheduler="none")
    poisoned(monkeypatch, session, {session.train_loader.steps_per_epoch + 1})
    assert train(session).finished
    (event,) = events(session, "rollback")
    assert event["back_to"] == session.train_loader.steps_per_epoch
    assert event["rate_factor"] == 0.5
    rows, expected = (list(read_lines(s.run.metrics)) for s in (session, calm))
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["train_loss"] == expected[0]["train_loss"]
    assert rows[1]["learning_rate"] == expected[1]["learning_rate"] / 2
    assert session.progress.rollbacks == 1
    assert all(weight.isfinite().all() for weight in session.model.parameters())


def test_weights_that_are_not_finite_are_never_kept(begun, monkeypatch):
    session = begun(epochs=1, checkpoint_seconds=0)
    spoilt_after(monkeypatch, session, 2, lambda model: model.parameters())
    train(session)
    (event,) = events(session, "rollback")
    assert event["back_to"] == 1
    assert "The weights are not finite at step 2" in event["message"]


def statistics(model):
    return (norm.running_mean for norm in model.modules() if isinstance(norm, BatchNorm2d))


def test_a_norms_statistics_that_overflowed_are_never_kept(begun, monkeypatch):
    session = begun(epochs=1)
    spoilt_after(monkeypatch, session, 2, statistics)
    train(session)
    (event,) = events(session, "rollback")
    assert event["back_to"] == 0
    assert all(bool(mean.isfinite().all()) for mean in statistics(session.model))


def test_a_step_that_overflows_under_a_scaler_leaves_nothing_and_sends_nobody_back(begun):
    session = begun(FakeBackend(precisions=("fp32", "fp16")), precision="fp16", epochs=2,
                    batch_size=8, ema=0.9)  # fmt: skip
    session.progress.micro_batch //= 2
    convolution = next(m for m in session.model.modules() if isinstance(m, torch.nn.Conv2d))
    spoilt, seen = 3, []  # one of the two passes of the second step

    def overflow(module, images, result):
        if module.training:
            seen.append(result)
        return result * float("inf") if len(seen) == spoilt else result

    convolution.register_forward_hook(overflow)
    train(session)
    steps = session.progress.step
    assert len(seen) == 2 * steps > spoilt
    assert not events(session, "rollback")
    norms = [m for m in session.model.modules() if isinstance(m, BatchNorm2d)]
    assert {int(norm.num_batches_tracked) for norm in norms} == {2 * (steps - 1)}
    assert all(one.isfinite().all() for one in session.average.state.values())


def test_an_epochs_broken_weights_do_not_replace_the_best(begun, monkeypatch):
    session = begun(epochs=2)
    steps = session.train_loader.steps_per_epoch
    spoilt_after(monkeypatch, session, 2 * steps, lambda model: model.parameters())
    monkeypatch.setattr(bookkeeping, "is_better", lambda row, progress: True)
    saved, real = [], bookkeeping.save_best

    def save_best(session, *state):
        saved.append(bookkeeping.all_finite(session.model))
        real(session, *state)

    monkeypatch.setattr(bookkeeping, "save_best", save_best)
    train(session)
    assert saved == [True, True]


def test_after_a_few_times_it_ends_with_advice(begun):
    session = begun(epochs=30, learning_rate=1e30)
    with pytest.raises(TrainingError, match="of the learning rate: use a lower --learning-rate"):
        train(session)
    assert len(events(session, "rollback")) == MAX_ROLLBACKS


def test_without_checkpoints_too(begun, monkeypatch):
    session = begun(epochs=1, save_checkpoints=False)
    poisoned(monkeypatch, session, {2})
    assert train(session).finished
    assert len(events(session, "rollback")) == 1


def result(loss, scaled):
    return StepResult(torch.tensor(loss), torch.tensor(1), 2, scaled)


def test_the_overflow_of_a_scaler_is_no_fault_until_it_never_ends():
    progress = Progress()
    epoch = Meter(progress)
    for loss in [float("inf")] * MAX_OVERFLOWS + [1.0] + [float("inf")] * MAX_OVERFLOWS:
        epoch.add(result(loss, scaled=True))
    epoch.settle()
    assert progress.images == 2
    progress.start_epoch()
    epoch = Meter(progress)
    epoch.add(result(float("nan"), scaled=True))
    with pytest.raises(NotFiniteError, match="became nan"):
        epoch.settle()


def overflowing(monkeypatch):
    """The loss of every step overflows under a scaler."""
    real = loop.recoverable_step

    def step(*about):
        found = real(*about)
        return replace(found, loss=found.loss * float("inf"), scaled=True)

    monkeypatch.setattr(loop, "recoverable_step", step)


def test_the_steps_after_going_back_are_counted_anew(begun):
    """Those before the snapshot were skipped at a learning rate that is no longer used."""
    session = begun(epochs=1)
    session.progress.overflows = MAX_OVERFLOWS
    bookkeeping.checkpoint(session)
    roll_back(session, NotFiniteError("The loss became nan"))
    assert (session.progress.overflows, session.progress.rollbacks) == (0, 1)


def test_overflows_are_counted_over_epochs(begun, monkeypatch):
    session = begun(epochs=2 + MAX_ROLLBACKS)  # each of which lets an epoch more overflow
    monkeypatch.setattr(meter, "MAX_OVERFLOWS", session.train_loader.steps_per_epoch)
    overflowing(monkeypatch)
    with pytest.raises(TrainingError, match="The loss became inf"):
        train(session)


def test_an_epoch_of_overflows_has_no_loss(begun, tinted, tmp_path, monkeypatch, capsys):
    for name in ("aphid", "moth"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        tinted(name, 0).save(tmp_path / "photos" / name / "0.png")  # none is left to validate on
    session = begun(data=str(tmp_path / "photos"), epochs=1, scheduler="plateau")
    overflowing(monkeypatch)
    assert train(session).finished
    (row,) = read_lines(session.run.metrics)
    assert (row["train_loss"], row["train_accuracy"]) == (None, None)
    assert "no finite loss" in capsys.readouterr().out
