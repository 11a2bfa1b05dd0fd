"""When memory runs out: the same images, in more passes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lacewing.errors import TrainingError
from lacewing.hardware.fake import FakeBackend
from lacewing.store.run import read_lines
from lacewing.training.loop import train
from lacewing.values import Choice

SETTINGS = {"epochs": 2, "model": "test_convnext", "image_size": 64, "rotation": 5}


def weights(session):
    return torch.cat([value.flatten() for value in session.model.state_dict().values()])


def rows_seen(session, monkeypatch):
    seen = []
    prepare = session.train_loader._prepare
    monkeypatch.setattr(
        session.train_loader,
        "_prepare",
        lambda epoch, rows: seen.append(rows.tolist()) or prepare(epoch, rows),
    )
    return seen


def test_the_loss_curve_and_the_order_stay_what_they_were(begun, monkeypatch):
    calm = begun(FakeBackend(), **SETTINGS, name="calm")
    order = rows_seen(calm, monkeypatch)
    train(calm)
    full = begun(FakeBackend(out_of_memory_at={3, 4}), **SETTINGS, name="full")
    order_after = rows_seen(full, monkeypatch)
    train(full)
    assert order_after == order
    assert full.progress.micro_batch == 1
    # test_convnext has no BatchNorm: only the order of summation differs
    assert np.allclose(weights(full), weights(calm), atol=1e-4)
    for one, two in zip(*(read_lines(s.run.metrics) for s in (full, calm)), strict=True):
        assert one["train_loss"] == pytest.approx(two["train_loss"], abs=3e-4)


def test_an_error_at_once_is_the_run_with_that_split_to_the_bit(begun):
    split = {"epochs": 2, "model": "test_resnet", "batch_size": 8}
    full = begun(FakeBackend(out_of_memory_at={1}), **split, name="full")
    started_with = full.progress.micro_batch
    train(full)
    calm = begun(FakeBackend(), **split, name="calm")
    calm.progress.micro_batch = started_with // 2
    train(calm)
    assert torch.equal(weights(full), weights(calm))


def test_the_event_says_what_changed(begun):
    session = begun(FakeBackend(out_of_memory_at={2}), **SETTINGS)
    train(session)
    event = next(e for e in read_lines(session.run.events) if e["kind"] == "out-of-memory")
    assert event["new"] == event["old"] // 2
    assert event["step"] == 1
    assert session.backend.calls.count("empty_cache") >= 1


def test_a_single_image_that_does_not_fit_ends_the_run_with_advice(begun):
    session = begun(FakeBackend(out_of_memory_at=range(1, 99)), **SETTINGS)
    with pytest.raises(TrainingError, match=r"a single image .* or --device cpu\.$"):
        train(session)


@pytest.mark.parametrize(("micro_batch", "compiled"), [(6, True), (3, False)])
def test_cuda_graphs_serve_steps_of_one_pass_only(begun, monkeypatch, micro_batch, compiled):
    """Their second pass would write where the first one's gradients lie."""
    session = begun(FakeBackend(), **{**SETTINGS, "epochs": 1})
    session.plan = replace(session.plan, compile=Choice("reduce-overhead", "", "user"))
    session.progress.micro_batch = micro_batch
    used = []
    session.forward = Spy(session.model, used)
    train(session)
    assert bool(used) == compiled


class Spy(torch.nn.Module):
    """Stands in for a compiled network."""

    def __init__(self, model, used):
        super().__init__()
        self.model, self.used = model, used

    def forward(self, images):
        if self.training:
            self.used.append(len(images))
        return self.model(images)
