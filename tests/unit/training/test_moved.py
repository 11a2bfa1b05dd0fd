"""A run that goes on on another machine: what must change does, and is said."""

from dataclasses import replace

import pytest

from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.hardware.inspect import inspect
from lacewing.hardware.machine import Limit
from lacewing.performance_config import TIERS
from lacewing.planning.document import load_plan, save_plan
from lacewing.planning.make import make_plan
from lacewing.planning.rules import memory
from lacewing.store.run import read_lines
from lacewing.training.begin import reopen
from lacewing.training.loop import train
from lacewing.training.moved import MAKES_THE_MODEL, plan_here
from lacewing.training.setup import job_of
from lacewing.values import GIB


@pytest.fixture
def stopped(begun):
    """`stopped(fake, epochs=3)`: a run of which one epoch is done."""

    def start(fake, **fields):
        session = begun(fake, **{"epochs": 2, "limit_epochs": 1, **fields})
        train(session)
        return session

    return start


def changes(session):
    events = list(read_lines(session.run.events))
    return {e["field"]: (e["old"], e["new"]) for e in events if e["kind"] == "plan-change"}


def same_model(one, two):
    return all(getattr(one, n).value == getattr(two, n).value for n in MAKES_THE_MODEL)


def test_on_the_same_machine_nothing_changes(stopped):
    session = stopped(FakeBackend())
    written = session.run.plan.read_bytes()
    resumed = reopen(session.run.folder, fake_backends(FakeBackend()))
    assert resumed.plan == load_plan(session.run.plan)
    assert session.run.plan.read_bytes() == written
    assert changes(session) == {}


def test_without_its_device_it_goes_on_on_the_best_other_one(stopped, capsys):
    session = stopped(FakeBackend())
    resumed = reopen(session.run.folder)
    assert same_model(resumed.plan, session.plan)
    told = changes(session)
    assert told["device"] == ("cuda:0", "cpu")
    assert resumed.plan == load_plan(session.run.plan)
    assert "cuda:0 is not here: the run goes on on cpu" in " ".join(capsys.readouterr().out.split())
    assert train(resumed).finished


def test_decoded_images_have_their_place_by_the_size_that_the_run_keeps(begun, monkeypatch):
    session = begun(FakeBackend(), image_size=None)
    table = {"cpu": BACKENDS["cpu"]}
    here = inspect(None, table, session.run.folder)
    job = job_of(session.config, session.info, None, session.index)
    size = session.plan.image_size.value
    usual = make_plan(session.config, here, job, TIERS, table).image_size.value
    assert usual < size
    allowed = (job.cache_bytes(usual) + job.cache_bytes(size)) // 2
    monkeypatch.setattr(memory, "CACHE_SHARE", allowed / here.memory_free_bytes)
    plan = plan_here(session.plan, session.config, here, session.index, session.run, table)
    assert plan.pixels.value != "ram"
    assert plan.pixels.evidence["need_bytes"] == job.cache_bytes(size)


def test_on_a_card_without_the_precision_only_the_precision_changes(stopped):
    session = stopped(FakeBackend(), precision="bf16")
    resumed = reopen(session.run.folder, fake_backends(FakeBackend(precisions=("fp32",))))
    assert resumed.plan.device.value == "cuda:0"
    assert resumed.plan.precision.value == "fp32"
    assert changes(session)["precision"] == ("bf16", "fp32")
    assert {"device", "threads", "batch", "micro_batch"}.isdisjoint(changes(session))
    assert same_model(resumed.plan, session.plan)
    assert train(resumed).finished


def test_a_smaller_card_takes_the_batch_in_smaller_passes(stopped):
    session = stopped(FakeBackend(total_bytes=16 * GIB), batch_size=8)
    small = FakeBackend(total_bytes=2 * GIB)
    resumed = reopen(session.run.folder, fake_backends(small))
    plan = resumed.plan
    assert plan.memory_bytes.value < 2 * GIB
    assert plan.micro_batch.value < session.plan.micro_batch.value
    assert plan.accumulation.value == -(-8 // plan.micro_batch.value)
    assert changes(session)["micro_batch"] == (8, plan.micro_batch.value)
    assert same_model(plan, session.plan)
    assert train(resumed).finished


def test_a_smaller_card_keeps_no_images_of_which_the_larger_one_had_room(stopped):
    session = stopped(FakeBackend(total_bytes=16 * GIB))
    there = replace(session.plan.pixels, value="device")
    save_plan(replace(session.plan, pixels=there), session.run.plan)
    resumed = reopen(session.run.folder, fake_backends(FakeBackend(total_bytes=2 * GIB)))
    assert resumed.plan.pixels.value == "ram"
    assert changes(session)["pixels"] == ("device", "ram")


def test_fewer_cores_and_less_ram(stopped):
    session = stopped(FakeBackend(), threads=4)
    table = fake_backends(FakeBackend())
    here = inspect(None, table, session.run.folder)
    replace(here, cores=Limit(value=8, source="a test")).save(session.run.machine)
    small = replace(here, cores=Limit(value=2, source="a test"), memory_free_bytes=1000)
    plan = plan_here(session.plan, session.config, small, session.index, session.run, table)
    assert plan.threads.value <= 2
    assert plan.pixels.value != "ram"
    told = changes(session)
    assert told["threads"] == (4, plan.threads.value)
    assert told["pixels"] == ("ram", plan.pixels.value)
    assert load_plan(session.run.plan) == plan


def test_more_threads_than_cores_stay_where_they_were_asked_for(stopped, tmp_path):
    here = inspect(None, fake_backends(FakeBackend()), tmp_path)
    session = stopped(FakeBackend(), threads=here.cores.value + 3)
    session.plan = replace(
        session.plan, workers=replace(session.plan.workers, value=here.cores.value + 14)
    )
    save_plan(session.plan, session.run.plan)
    resumed = reopen(session.run.folder, fake_backends(FakeBackend()))
    assert resumed.plan.threads == session.plan.threads
    assert resumed.plan.workers == session.plan.workers
    assert not any(event["kind"] == "moved" for event in read_lines(session.run.events))
