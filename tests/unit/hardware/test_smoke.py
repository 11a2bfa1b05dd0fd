"""The functional test of a device: right ones pass, wrong ones fail with a reason."""

import pytest
import torch

from lacewing.hardware.fake import FakeBackend, Faults
from lacewing.hardware.smoke import on_device, smoke_test, still_works


def test_the_cpu_passes_in_every_precision_it_is_tested_in():
    result = smoke_test(FakeBackend(precisions=("fp32", "tf32", "bf16", "fp16")), 0)
    assert result.passed == ("fp32", "tf32", "bf16", "fp16")
    assert result.failed == {}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nan", "not finite"),
        ("wrong", "is wrong by"),
        ("no kernel image is available", "RuntimeError: no kernel image is available"),
    ],
)
def test_a_broken_precision_fails_and_the_others_pass(fault, reason):
    fake = FakeBackend(precisions=("fp32", "bf16"), faults=Faults(precisions={"bf16": fault}))
    result = smoke_test(fake, 0)
    assert result.passed == ("fp32",)
    assert reason in result.failed["bf16"]


def test_frozen_batchnorm_statistics_are_found(monkeypatch):
    """As on old DirectML versions, which never updated them."""
    real = torch.nn.functional.batch_norm

    def frozen(x, mean, variance, *args, **kwargs):
        if x.dtype == torch.float64:  # the reference stays right
            return real(x, mean, variance, *args, **kwargs)
        return real(x, mean.clone(), variance.clone(), *args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "batch_norm", frozen)
    result = smoke_test(FakeBackend(precisions=("fp32",)), 0)
    assert "running mean is wrong" in result.failed["fp32"]


def test_a_full_memory_is_told_as_such():
    fake = FakeBackend(precisions=("fp32",), out_of_memory_at={1})
    fake.configure("fp32", threads=torch.get_num_threads(), deterministic=False)
    assert smoke_test(fake, 0).failed == {"fp32": "its memory is full"}


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    smoke_test(FakeBackend(precisions=("fp32",)), 0)
    assert torch.equal(before, torch.get_rng_state())


def test_prepare_is_called_before_each_precision():
    prepared = []
    smoke_test(FakeBackend(precisions=("fp32", "bf16")), 0, prepared.append)
    assert prepared == ["fp32", "bf16"]


def test_every_pair_of_precision_and_format_is_told():
    result = smoke_test(FakeBackend(precisions=("fp32", "bf16")), 0)
    assert result.pairs == (
        "fp32 contiguous",
        "fp32 channels_last",
        "bf16 contiguous",
        "bf16 channels_last",
    )


def test_a_wrong_channels_last_is_out_and_contiguous_stays():
    """As on MPS, where it gave wrong results."""
    fake = FakeBackend(precisions=("fp32", "bf16"), faults=Faults(channels_last=True))
    result = smoke_test(fake, 0)
    assert result.passed == ("fp32", "bf16")
    assert result.pairs == ("fp32 contiguous", "bf16 contiguous")
    assert set(result.failed) == {"fp32 channels_last", "bf16 channels_last"}
    assert "is wrong by" in result.failed["fp32 channels_last"]


def test_a_wrong_backward_pass_of_batchnorm_in_channels_last_is_found():
    """As on MPS (pytorch#175189): forward is right, so only gradients tell."""
    precisions = ("fp32", "bf16", "fp16")
    fake = FakeBackend(precisions=precisions, faults=Faults(norms_backward=True))
    result = smoke_test(fake, 0)
    assert result.passed == precisions
    assert result.pairs == tuple(f"{precision} contiguous" for precision in precisions)
    fake.configure("fp32", torch.get_num_threads(), deterministic=False)
    right, wrong = (on_device(one, 0, "fp32", "channels_last") for one in (FakeBackend(), fake))
    assert torch.equal(right["the loss"], wrong["the loss"])
    gradient = "the gradient of strided.weight"
    assert torch.allclose(wrong[gradient], 2.25 * right[gradient], rtol=1e-3)  # two norms behind it


def test_a_device_works_while_it_passes_in_some_precision_or_is_full():
    assert still_works(FakeBackend(faults=Faults(precisions={"bf16": "nan"})), 0)
    full = FakeBackend(out_of_memory_at=range(1, 99))
    lost = FakeBackend(faults=Faults(lost_at=1))
    for fake, works in ((full, True), (lost, False)):
        fake.configure("fp32", torch.get_num_threads(), deterministic=False)
        assert still_works(fake, 0) == works


def test_a_device_that_never_updates_batchnorm_fails():
    fake = FakeBackend("directml", precisions=("fp32",), faults=Faults(frozen_norms=True))
    result = smoke_test(fake, 0)
    assert result.passed == ()
    assert "running mean is wrong" in result.failed["fp32"]


def test_a_format_that_the_kind_must_not_use_is_not_tested():
    assert smoke_test(FakeBackend("mps", precisions=("fp32",)), 0).pairs == ("fp32 contiguous",)


@pytest.mark.parametrize("operator", ["max_pool2d", "avg_pool2d", "relu", "linear"])
def test_an_operator_that_is_wrong_is_found(monkeypatch, operator):
    real = getattr(torch.nn.functional, operator)

    def wrong(x, *args, **kwargs):
        result = real(x, *args, **kwargs)
        return result if x.dtype == torch.float64 else result * 1.3

    monkeypatch.setattr(torch.nn.functional, operator, wrong)
    assert "is wrong by" in smoke_test(FakeBackend(precisions=("fp32",)), 0).failed["fp32"]
