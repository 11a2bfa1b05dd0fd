"""The functional test of optimiser kernels: right ones stay, wrong ones are named."""

import pytest
import torch

from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.hardware.inspect import inspect
from lacewing.hardware.smoke_kernels import failed_kernels

PRECISIONS = ("fp32", "fp16")
FAULTS = {
    "SGD": "_fused_sgd_",
    "Adam": "_fused_adam_",
    "AdamW": "_fused_adamw_",
}


def absent(*args, **kwargs):
    raise NotImplementedError("Could not run 'aten::_fused' with arguments from the 'XPU' backend")


def without(monkeypatch, function, *options):
    """A fused kernel that never sees these of its options, as on MPS."""
    real = getattr(torch, function)

    def deaf(*args, **given):
        return real(*args, **{**given, **dict.fromkeys(options)})

    monkeypatch.setattr(torch, function, deaf)


def test_right_kernels_pass():
    assert failed_kernels(FakeBackend(), 0, PRECISIONS) == {}
    assert failed_kernels(FakeBackend("mps"), 0, PRECISIONS) == {}, "which has none"


@pytest.mark.parametrize(("optimizer", "function"), FAULTS.items())
def test_a_kernel_without_code_is_out(monkeypatch, optimizer, function):
    """As fused ones on XPU with torch 2.4, which the optimiser takes and no update can use."""
    monkeypatch.setattr(torch, function, absent)
    failed = failed_kernels(FakeBackend("xpu"), 0, PRECISIONS)
    assert list(failed) == ["fused"]
    assert failed["fused"].startswith(f"{optimizer}: NotImplementedError: Could not run")


@pytest.mark.parametrize("option", ["grad_scale", "found_inf"])
def test_a_kernel_that_ignores_the_loss_scaler_is_out(monkeypatch, option):
    without(monkeypatch, "_fused_sgd_", option)
    expected = {"fused": "SGD's update under the loss scaler is wrong"}
    assert failed_kernels(FakeBackend(), 0, PRECISIONS) == expected
    assert failed_kernels(FakeBackend(), 0, ("fp32",)) == {}, "there is no scaler without fp16"


def test_the_next_kernel_is_tested_by_itself(monkeypatch):
    monkeypatch.setattr(torch, "_fused_adam_", absent)
    monkeypatch.setattr(torch, "_foreach_add_", absent)
    assert set(failed_kernels(FakeBackend(), 0, PRECISIONS)) == {"foreach", "fused"}


def test_a_full_memory_says_nothing_of_a_kernel(monkeypatch):
    fake = FakeBackend()
    monkeypatch.setattr(torch, "_fused_sgd_", absent)
    monkeypatch.setattr(fake, "is_out_of_memory", lambda error: True)
    assert failed_kernels(fake, 0, PRECISIONS) == {}


def test_the_device_is_used_without_it(monkeypatch):
    monkeypatch.setattr(torch, "_fused_adam_", absent)
    machine = inspect(backends=fake_backends(FakeBackend(devices=["Card"])))
    assert set(machine.devices[0].failed_kernels) == {"fused"}
    assert machine.devices[0].precisions == ("fp32", "bf16")
    assert [item.name for item in machine.rejected] == ["Card in fused optimiser kernels"]
