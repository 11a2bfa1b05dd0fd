"""Training with everything that varies images: it learns from mixed labels and resumes exactly."""

import pytest
import torch

from lacewing.hardware.fake import FakeBackend, FakeDeviceLostError, Faults, fake_backends
from lacewing.store.run import read_lines
from lacewing.training.begin import reopen
from lacewing.training.loop import train

VARIED = {"trivial_augment": True, "erasing": 0.3, "mixup": 0.3, "cutmix": 1.0}


def weights(session):
    return {name: value.clone() for name, value in session.model.state_dict().items()}


def test_a_resumed_run_varies_images_as_before(begun):
    whole = begun(FakeBackend(), **VARIED, name="whole")
    train(whole)
    broken = begun(FakeBackend(faults=Faults(lost_at=5)), **VARIED, checkpoint_seconds=0)
    with pytest.raises(FakeDeviceLostError):
        train(broken)
    resumed = reopen(broken.run.folder, fake_backends(FakeBackend()))
    assert resumed.progress.step > 0
    train(resumed)
    expected = weights(whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights(resumed).items())


@pytest.mark.parametrize("name", sorted(VARIED))
def test_each_way_changes_what_is_learnt(begun, name):
    plain = begun(epochs=1, name="plain")
    varied = begun(epochs=1, name="varied", **{name: VARIED[name]})
    train(plain)
    train(varied)
    losses = [
        list(read_lines(session.run.metrics))[-1]["train_loss"] for session in (plain, varied)
    ]
    assert losses[0] != losses[1]
    assert all(0 < loss < 10 for loss in losses)
