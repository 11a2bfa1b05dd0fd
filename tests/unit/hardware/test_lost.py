"""A device that stopped working, told from other errors."""

import pytest
import torch

from lacewing.errors import DeviceLostError, PlanError
from lacewing.hardware.fake import (
    FakeBackend,
    FakeDeviceLostError,
    FakeOutOfMemoryError,
    Faults,
    fake_backends,
)
from lacewing.hardware.lost import device_watched


def watched(fake, error, address="cuda:0"):
    fake.configure("fp32", torch.get_num_threads(), deterministic=False)
    with device_watched(address, "use another one", fake_backends(fake)):
        raise error


def test_a_device_that_fails_its_test_now_is_lost():
    gone = FakeDeviceLostError("CUDA error: device lost.\nstack")
    with pytest.raises(DeviceLostError) as caught:
        watched(FakeBackend(faults=Faults(lost_at=1)), gone)
    assert str(caught.value) == (
        "cuda:0 stopped working (CUDA error: device lost): use another one."
    )
    assert caught.value.__cause__ is gone


@pytest.mark.parametrize(
    ("faults", "error", "address"),
    [
        (Faults(), ZeroDivisionError("ours"), "cuda:0"),
        (Faults(lost_at=1), PlanError("a sentence"), "cuda:0"),
        (Faults(lost_at=1), FakeOutOfMemoryError("full"), "cuda:0"),
        (Faults(lost_at=1), MemoryError(), "cuda:0"),
        (Faults(lost_at=1), ZeroDivisionError("on the CPU"), "cpu"),
    ],
)
def test_any_other_error_passes(faults, error, address):
    with pytest.raises(type(error)) as caught:
        watched(FakeBackend(faults=faults), error, address)
    assert caught.value is error


def test_nothing_is_tested_where_nothing_fails():
    fake = FakeBackend(faults=Faults(lost_at=1))
    fake.configure("fp32", torch.get_num_threads(), deterministic=False)
    with device_watched("cuda:0", "", fake_backends(fake)):
        pass
    assert fake.forward_calls == 0
