"""The fake follows its script."""

import pytest
import torch

from lacewing.hardware.backend import Capabilities, NotHere
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.fake import (
    FakeBackend,
    FakeDeviceLostError,
    FakeOutOfMemoryError,
    Faults,
    fake_backends,
)
from lacewing.hardware.fake_faults import running_out

THREADS = torch.get_num_threads()


def test_out_of_memory_comes_at_the_scripted_forward_passes_of_a_run():
    fake = FakeBackend(out_of_memory_at={2})
    with fake.autocast("fp32"):  # before the run: not counted
        pass
    fake.configure("fp32", THREADS, deterministic=False)
    with fake.autocast("fp32"):
        pass
    with pytest.raises(FakeOutOfMemoryError) as caught:
        fake.autocast("fp32")
    assert fake.is_out_of_memory(caught.value)
    assert not fake.is_out_of_memory(RuntimeError("CUDA out of memory"))
    fake.configure("fp32", THREADS, deterministic=False)  # a resumed run goes on counting
    with fake.autocast("fp32"):
        assert fake.forward_calls == 3


def test_the_memory_may_be_full_in_a_backward_pass_only():
    fake = FakeBackend(full_in_backward={2})
    fake.configure("fp32", THREADS, deterministic=False)
    weight = torch.ones(1, 3, 1, 1, requires_grad=True)
    for call in (1, 2, 3):
        with fake.autocast("fp32"):
            found = torch.nn.functional.conv2d(torch.ones(2, 3, 4, 4), weight).sum()
        if call == 2:
            with pytest.raises(FakeOutOfMemoryError, match="backward of 2"):
                found.backward()
        else:
            found.backward()


def test_any_function_may_run_out_at_its_scripted_calls():
    double = running_out({2}, lambda number: 2 * number)
    assert double(1) == 2
    with pytest.raises(FakeOutOfMemoryError):
        double(2)
    assert double(3) == 6


def test_a_lost_device_stays_lost():
    fake = FakeBackend(faults=Faults(lost_at=1))
    fake.configure("fp32", THREADS, deterministic=False)
    for _ in range(2):
        with pytest.raises(FakeDeviceLostError):
            fake.autocast("fp32")


def test_peaks_are_told_in_order_and_the_last_for_ever():
    fake = FakeBackend(peaks=[100, 300])
    assert [fake.peak_bytes(0) for _ in range(3)] == [100, 300, 300]


def test_capabilities_are_those_of_the_kind_unless_given():
    assert FakeBackend("directml").capabilities.autocast is False
    assert FakeBackend("mps").capabilities.memory_formats == ("contiguous",)
    assert FakeBackend("cuda").capabilities.pinned_memory is False
    given = Capabilities(compile=True)
    assert FakeBackend("cuda", capabilities=given).capabilities is given


def test_it_can_be_absent():
    with pytest.raises(NotHere, match="no driver"):
        FakeBackend(faults=Faults(find="no driver")).find()


def test_memory_is_scripted():
    memory = FakeBackend(total_bytes=100, free_bytes=40).memory(0)
    assert (memory.total_bytes, memory.free_bytes) == (100, 40)
    assert FakeBackend(total_bytes=None).limit_memory(0, 0.8) is False


def test_the_table_ends_with_the_real_cpu_in_the_order_of_preference():
    mps, cuda = FakeBackend("mps"), FakeBackend("cuda")
    table = fake_backends(mps, cuda)
    assert list(table) == ["cuda", "mps", "cpu"]
    assert table["cuda"]() is cuda
    assert table["cpu"] is BACKENDS["cpu"]


def test_autocast_changes_the_precision():
    with FakeBackend().autocast("bf16"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
