"""Gradual unfreezing and rates by layer, in training."""

import pytest
import torch
from safetensors.torch import save_file

from lacewing.hardware.fake import FakeBackend, FakeDeviceLostError, Faults, fake_backends
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.models.layers import layers_below_head
from lacewing.store.run import read_lines
from lacewing.training.adapt import open_monitor
from lacewing.training.begin import reopen
from lacewing.training.loop import train, train_epoch
from lacewing.training.signals import Stop


@pytest.fixture
def weights(tmp_path):
    """A file to start from."""
    torch.manual_seed(7)
    model = build_model(find_model("test_resnet"), 3, 0.0, None, 32)
    save_file(model.state_dict(), tmp_path / "start.safetensors")
    return tmp_path / "start.safetensors"


@pytest.fixture
def gradual(begun, weights):
    """`gradual(epochs=4)`: a session that begins with its last layers."""
    return lambda *backend, **fields: begun(
        *backend,
        **{"gradual_unfreezing": True, "weights": weights, "weight_decay": 0.1, "epochs": 4}
        | fields,
    )


def moved(session, before):
    """The layers, counted from the head, in which a weight has changed."""
    below = layers_below_head(session.model)
    return {
        below[name]
        for name, value in session.model.named_parameters()
        if not torch.equal(value, before[name])
    }


def test_layers_that_rest_stay_to_the_bit(gradual):
    session = gradual(momentum=0.9)
    layers = max(layers_below_head(session.model).values())
    monitor = open_monitor(session)
    for learning in (-(-layers // 3), -(-2 * layers // 3), layers):
        before = {name: value.clone() for name, value in session.model.named_parameters()}
        train_epoch(session, Stop(), monitor)
        session.progress.epoch += 1
        session.progress.start_epoch()
        assert moved(session, before) == set(range(learning + 1))


def test_the_run_tells_which_learn(gradual):
    session = gradual()
    train(session)
    layers = max(layers_below_head(session.model).values())
    told = [e for e in read_lines(session.run.events) if e["kind"] == "unfreezing"]
    assert [event["new"] for event in told][-1] == layers
    assert told[0]["message"].startswith("the head and the last ")
    assert told[-1]["message"] == f"the head and all {layers} layers learn"


@pytest.mark.parametrize(("optimizer", "lost_at"), [("sgd", 3), ("adamw", 8)])
def test_it_is_resumed_to_the_bit(gradual, optimizer, lost_at):
    fields = {"optimizer": optimizer, "layer_decay": 0.7, "checkpoint_seconds": 0.0, "epochs": 2}
    whole = gradual(FakeBackend(), **fields, name="whole")
    train(whole)
    broken = gradual(FakeBackend(faults=Faults(lost_at=lost_at)), **fields, name="broken")
    with pytest.raises(FakeDeviceLostError):
        train(broken)
    resumed = reopen(broken.run.folder, fake_backends(FakeBackend()))
    assert resumed.progress.step > 0
    train(resumed)
    expected = whole.model.state_dict()
    assert all(torch.equal(v, expected[n]) for n, v in resumed.model.state_dict().items())


def test_rates_by_layer_are_in_force_and_the_row_has_the_common_one(begun):
    session = begun(epochs=1, layer_decay=0.5, scheduler="none")
    train(session)
    rate = session.plan.learning_rate.value
    scales = {group["lr"] / rate for group in session.optimizer.param_groups}
    assert min(scales) < 0.5
    assert max(scales) == 1.0
    (row,) = read_lines(session.run.metrics)
    assert row["learning_rate"] == pytest.approx(rate)
