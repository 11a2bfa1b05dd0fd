"""A large card that passes for a small one."""

from types import SimpleNamespace

import pytest
import torch

from lacewing.errors import DeviceError
from lacewing.hardware.backend import Memory
from lacewing.hardware.cuda import CudaBackend
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.hardware.inspect import inspect
from lacewing.hardware.smaller import VARIABLE
from lacewing.planning.rules.device import choose_tier
from lacewing.training.session import limit_memory
from lacewing.values import GIB


@pytest.fixture(params=["cuda", "fake"])
def large(request, monkeypatch):
    """A card of 80 GiB, of which 1 is held: `large.backend`, and `large.share()` of its cap."""
    if request.param == "fake":
        fake = FakeBackend(total_bytes=80 * GIB, free_bytes=79 * GIB)
        return SimpleNamespace(backend=fake, share=lambda: fake.memory_fraction)
    shares = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (79 * GIB, 80 * GIB))
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, index: shares.append(share)
    )
    return SimpleNamespace(backend=CudaBackend(), share=lambda: shares[-1])


def test_what_is_held_of_the_card_is_held_of_the_small_one(large, monkeypatch):
    monkeypatch.setenv(VARIABLE, "4")
    assert large.backend.memory(0) == Memory(4 * GIB, 3 * GIB)
    monkeypatch.setenv(VARIABLE, "0.5")
    assert large.backend.memory(0) == Memory(GIB // 2, 0)


def test_a_cap_is_a_share_of_the_small_card(large, monkeypatch):
    monkeypatch.setenv(VARIABLE, "4")
    assert large.backend.limit_memory(0, 1.0)
    assert large.share() == pytest.approx(4 / 80)
    plan = SimpleNamespace(memory_bytes=SimpleNamespace(value=2 * GIB))
    limit_memory(large.backend, 0, plan, events=None)
    assert large.share() == pytest.approx(2 / 80)


@pytest.mark.parametrize("said", ["", "80", "400"])
def test_a_card_never_passes_for_a_larger_one(large, monkeypatch, said):
    monkeypatch.setenv(VARIABLE, said)
    assert large.backend.memory(0) == Memory(80 * GIB, 79 * GIB)
    large.backend.limit_memory(0, 0.5)
    assert large.share() == 0.5


@pytest.mark.parametrize("said", ["4GB", "0", "-1", "nan", "inf"])
def test_anything_but_a_number_above_0_is_refused(large, monkeypatch, said):
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(DeviceError, match=f"{VARIABLE} must be a number above 0"):
        large.backend.memory(0)


@pytest.mark.parametrize(("said", "tier"), [("2", "low"), ("4", "mid"), ("8", "high")])
def test_the_tier_is_the_small_cards_and_the_machine_says_so(monkeypatch, said, tier):
    monkeypatch.setenv(VARIABLE, said)
    device = inspect(backends=fake_backends(FakeBackend(total_bytes=80 * GIB))).devices[0]
    assert device.total_bytes == int(said) * GIB
    assert device.details["memory"] == f"no more than {VARIABLE} says"
    assert choose_tier(device).value == tier


def test_a_memory_that_is_not_told_stays_so(monkeypatch):
    monkeypatch.setenv(VARIABLE, "4")
    unknown = FakeBackend(total_bytes=None)
    assert unknown.memory(0) == Memory(None, None)
    assert not unknown.limit_memory(0, 0.5)
