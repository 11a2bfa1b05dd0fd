"""Of what work a forecast is."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.planning.measured import Measured
from lacewing.planning.trial.forecast import Amounts
from lacewing.planning.trial.same_work import is_of, work_of
from lacewing.values import Choice

AMOUNTS = Amounts(training=1000, validation=200, test=100, epochs=10)


@pytest.fixture
def work(plan_on, recorded, make_job):
    """`work(micro_batch=8)`: the digest, with another decision, machine, job, data or flag."""

    def digest(machine=None, job=None, amounts=AMOUNTS, data="pests", flags=None, **decided):
        plan = plan_on("cpu_2core_24gb")
        changed = {name: Choice(value, "another", "user") for name, value in decided.items()}
        config, machine = TrainConfig(**(flags or {})), machine or recorded("cpu_2core_24gb")
        return work_of(replace(plan, **changed), config, machine, job or make_job(), amounts, data)

    return digest


def test_what_takes_another_time_is_other_work(work, recorded, make_job):
    others = {
        work(machine=replace(recorded("cpu_2core_24gb"), torch="2.4.1")),
        work(job=make_job(model="resnet50")),
        work(job=make_job(classes=6)),
        work(job=make_job(optimizer="SGD")),
        work(data="weeds"),
        work(amounts=replace(AMOUNTS, training=999)),
        work(amounts=replace(AMOUNTS, test=0)),
        work(amounts=replace(AMOUNTS, processes=2)),
        work(micro_batch=8),
        work(image_size=160),
        work(workers=0),
        work(precision="bf16"),
        work(flags={"dropout": 0.3}),
        work(flags={"rotation": 20.0}),
        work(flags={"ema": 0.9}),
        work(flags={"freeze_norms": False}),
    }
    assert work() not in others
    assert len(others) == 16


def test_flags_that_the_plan_settles_are_not(work):
    words = {"batch_size": 16, "learning_rate": 0.1, "threads": 2, "precision": "fp32"}
    assert work(flags=words) == work()
    assert work(learning_rate=0.1) == work()


def test_nor_are_the_passes_that_several_processes_make_of_a_batch(work):
    two = replace(AMOUNTS, processes=2)
    assert work(amounts=two, micro_batch=8) == work(amounts=two)


def test_the_epochs_are_those_of_the_forecast():
    measured = Measured(forecast={"epochs": 10.0}, work="a")
    assert is_of(measured, "a", 10)
    assert not is_of(measured, "a", 9)
    assert not is_of(measured, "b", 10)
    assert is_of(replace(measured, forecast={"peak_bytes": 1.0}), "a", 9)
