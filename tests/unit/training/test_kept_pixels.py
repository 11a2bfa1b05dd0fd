"""Decoded images in the device's memory are what a full one is rid of first."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lacewing.data import train_loader
from lacewing.data.kept import NoPixels
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.hardware.fake_faults import FakeOutOfMemoryError, running_out
from lacewing.planning.document import save_plan
from lacewing.planning.rules import memory
from lacewing.store.run import read_lines
from lacewing.training.loop import train
from lacewing.training.rate_finder import search
from lacewing.training.setup import prepare
from lacewing.values import GIB, Choice

WORDS = {
    "precision": "fp32",
    "epochs": 3,
    "batch_size": 8,
    "trivial_augment": True,
    "mixup": 0.4,
    "workers": 2,
}


@pytest.fixture
def on_device(begun, small, tmp_path):
    """`on_device(fake)`: a session whose plan keeps decoded images in the fake's memory."""
    plan = prepare(small(**WORDS), fake_backends(FakeBackend())).plan
    there = Choice("device", "there is room", "measured")
    save_plan(replace(plan, pixels=there), tmp_path / "plan.yaml")

    def start(fake, **fields):
        return begun(fake, **{**WORDS, "plan": tmp_path / "plan.yaml", **fields})

    return start


@pytest.fixture
def calm(on_device):
    session = on_device(FakeBackend(), name="calm")
    train(session)
    return session


def weights(session):
    return torch.cat([value.flatten() for value in session.model.state_dict().values()])


def changes(session):
    events = [one for one in read_lines(session.run.events) if one["kind"] == "out-of-memory"]
    return [(one["step"], one["field"], one["old"], one["new"]) for one in events]


def test_neither_ram_nor_the_disk_has_to_hold_them(begun, small, tmp_path, monkeypatch):
    large = FakeBackend(total_bytes=80 * GIB)
    plan = prepare(small(**WORDS), fake_backends(large)).plan
    there = Choice("device", "there is room", "measured", {"evaluation": "none"})
    save_plan(replace(plan, pixels=there), tmp_path / "plan.yaml")
    session = begun(large, **WORDS, plan=tmp_path / "plan.yaml")
    stores = session.train_loader._store, session.val_loader._store
    assert [type(store._kept) for store in stores] == [NoPixels, NoPixels]
    missing, let_go = [], session.train_loader.let_go

    def watched():
        resident = session.train_loader._resident
        missing.append(resident and len(resident.missing(np.arange(len(stores[0])))))
        let_go()

    monkeypatch.setattr(session.train_loader, "let_go", watched)
    train(session)
    assert missing[0] == 0


@pytest.mark.parametrize("where", ["out_of_memory_at", "full_in_backward"])
def test_a_full_step_gives_them_up_and_is_repeated_to_the_bit(on_device, calm, where):
    session = on_device(FakeBackend(**{where: {2}}), name="full")
    train(session)
    assert changes(session) == [(1, "pixels", "device", "ram")]
    assert torch.equal(weights(session), weights(calm))
    assert session.progress.micro_batch == calm.progress.micro_batch


def test_passes_are_halved_only_once_no_pixels_lie_there(on_device, calm):
    session = on_device(FakeBackend(out_of_memory_at={2, 3}), name="full")
    micro_batch = session.progress.micro_batch
    train(session)
    assert changes(session) == [
        (1, "pixels", "device", "ram"),
        (1, "micro_batch", micro_batch, micro_batch // 2),
    ]


def test_the_memory_is_free_before_the_step_is_repeated(on_device, monkeypatch):
    session = on_device(FakeBackend(out_of_memory_at={2}))
    made, sizes = [], []

    class Noted(train_loader.DevicePixels):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(train_loader, "DevicePixels", Noted)
    empty = session.backend.empty_cache
    monkeypatch.setattr(
        session.backend, "empty_cache", lambda: sizes.extend(len(o._flat) for o in made) or empty()
    )
    train(session)
    assert len(made) == 1
    assert sizes[0] == 0


def test_where_they_never_fitted_the_run_goes_on_without(on_device, calm, monkeypatch):
    full = running_out(range(1, 99), train_loader.DevicePixels)
    monkeypatch.setattr(train_loader, "DevicePixels", full)
    session = on_device(FakeBackend(), name="full")
    train(session)
    assert changes(session) == [(0, "pixels", "device", "ram")]
    assert torch.equal(weights(session), weights(calm))
    assert session.train_loader.loading.workers == 2, "nothing else was given up"


@pytest.mark.parametrize("part", ["_prepare", "_on_device"])
def test_a_batch_that_can_not_be_loaded_gives_them_up_too(on_device, calm, part):
    session = on_device(FakeBackend(), name="full")
    loader = session.train_loader
    setattr(loader, part, running_out({3}, getattr(loader, part)))
    train(session)
    assert [change[1:] for change in changes(session)] == [("pixels", "device", "ram")]
    assert torch.equal(weights(session), weights(calm))


def test_the_machines_memory_is_not_spared_by_what_lies_on_the_device(on_device, calm):
    session = on_device(FakeBackend(), name="full")
    inner, calls = session.train_loader._prepare, []

    def prepare(epoch, rows):
        calls.append(epoch)
        if len(calls) == 1:
            raise MemoryError
        return inner(epoch, rows)

    session.train_loader._prepare = prepare
    train(session)
    assert changes(session) == [(0, "workers", 2, 0)]
    assert torch.equal(weights(session), weights(calm))


@pytest.mark.parametrize(("disk", "place"), [(2**40, "disk"), (0, "none")])
def test_where_ram_does_not_hold_them_the_rules_place_is_taken(
    on_device, calm, monkeypatch, disk, place
):
    monkeypatch.setattr(memory, "CACHE_SHARE", 0.0)
    monkeypatch.setattr("lacewing.training.kept_pixels.room_on_disk", lambda: disk)
    session = on_device(FakeBackend(out_of_memory_at={2}), name="full")
    train(session)
    assert changes(session) == [(1, "pixels", "device", place)]
    assert torch.equal(weights(session), weights(calm))


def test_the_search_for_a_rate_gives_them_up_too(on_device, monkeypatch):
    monkeypatch.setattr("lacewing.training.rate_finder.STEPS", 25)
    full = running_out({1}, train_loader.DevicePixels)
    expected = search(on_device(FakeBackend(), name="calm"))
    monkeypatch.setattr(train_loader, "DevicePixels", full)
    session = on_device(FakeBackend(), name="full")
    assert search(session) == expected
    assert changes(session) == [(0, "pixels", "device", "ram")]


def test_after_training_nothing_lies_on_the_device(calm):
    assert calm.train_loader._resident is None
    assert changes(calm) == []


def test_a_validation_that_never_fits_gives_them_up_before_the_run_ends(on_device, calm):
    session = on_device(FakeBackend(), name="full")
    loader = session.val_loader
    inner = loader._squares

    def squares(rows):
        if session.train_loader.is_on_device:
            raise FakeOutOfMemoryError
        return inner(rows)

    loader._squares = squares
    train(session)
    assert [change[1:] for change in changes(session)] == [("pixels", "device", "ram")]
    assert loader.batch_size == calm.val_loader.batch_size
    assert torch.equal(weights(session), weights(calm))
