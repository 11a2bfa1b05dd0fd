"""Threads that prepare batches: raced in the real loop, and the fewest that are about the best."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from lacewing.hardware.fake import FakeBackend
from lacewing.planning.trial import feeding
from lacewing.planning.trial.feeding import Lap, choose, counts_to_race, run_lap
from lacewing.planning.trial.findings import Fed
from lacewing.planning.trial.stage import set_up
from lacewing.planning.trial.ways import planned
from lacewing.training import setup
from lacewing.values import Choice


def fed(*seconds):
    return tuple(Fed(workers=workers, seconds=one) for workers, one in enumerate(seconds))


@pytest.mark.parametrize(
    ("seconds", "workers"),
    [((1.0, 1.0), 0), ((1.0, 0.98), 0), ((1.0, 0.9), 1), ((1.0, 0.9, 0.89), 1), ((None, 2.0), 1)],
)
def test_more_threads_must_gain_more_than_the_noise(seconds, workers):
    assert choose(fed(*seconds)).workers == workers


def test_without_times_there_is_no_choice():
    assert choose(()) is None
    assert choose(fed(None)) is None


@pytest.mark.parametrize(
    ("most", "is_cpu", "counts"),
    [
        (0, True, [0]),
        (1, True, [0, 1]),
        (2, True, [0, 1, 2]),
        (6, True, [0, 1, 2, 4, 6]),
        (8, True, [0, 1, 2, 4, 8]),
        (2, False, [0, 2]),
        (8, False, [0, 4, 8]),
    ],
)
def test_counts_on_a_cpu_double_and_elsewhere_are_few(most, is_cpu, counts):
    assert counts_to_race(most, is_cpu) == counts


def test_each_count_runs_the_loop_with_its_threads(scene, monkeypatch):
    """The fake's clock stands still while threads work: here a thread costs what is scripted."""
    made = scene(FakeBackend())
    laps = []

    def lap(trial, way, lap, workers):
        laps.append((workers, lap.batch, lap.images))
        return {0: 0.5, 2: 0.2, 4: 0.195}[workers]

    monkeypatch.setattr(feeding, "run_lap", lap)
    found = made.measure(workers=Choice(4, "", "rule"), batch=Choice(4, "", "rule"),
                         micro_batch=Choice(4, "", "rule"))  # fmt: skip
    assert [one.workers for one in found.fed] == [0, 2, 4]
    assert choose(found.fed).workers == 2
    assert {images % batch for _, batch, images in laps} == {0}


def test_a_lap_is_real_training(scene):
    found = scene(FakeBackend(), batch_size=4).measure(workers=Choice(1, "", "rule"))
    assert [one.workers for one in found.fed] == [0, 1]
    # the fake takes the same time for each step, whoever prepares it
    assert found.fed[0].seconds == pytest.approx(found.best.seconds / 4)


def test_a_lap_waits_for_the_device_before_and_after_its_steps_only(scene):
    made = scene(FakeBackend(), batch_size=4)
    bench, sample = set_up(made.plan, made.config, made.work, made.fake, 0, lambda: made.fake.now)
    way = replace(planned(made.plan), images=4)
    before, passes = made.fake.calls.count("synchronize"), made.fake.forward_calls
    lap = Lap(batch=4, images=12)
    assert run_lap(SimpleNamespace(bench=bench, sample=sample), way, lap, 0) == 0.0
    assert made.fake.forward_calls == passes + 3
    assert made.fake.calls.count("synchronize") == before + 2


def test_readers_of_a_server_are_not_raced_on_images_in_ram(scene, monkeypatch):
    monkeypatch.setattr(setup, "remote_of", lambda _: "https://pests.example/shard.tar")
    assert scene(FakeBackend(), batch_size=4).measure(workers=Choice(16, "", "rule")).fed == ()


def test_the_users_threads_are_not_raced(scene):
    assert scene(FakeBackend(), workers=1, batch_size=4).measure().fed == ()


def test_too_few_images_for_two_steps_are_not_raced(scene):
    made = scene(FakeBackend())
    count = len(made.work.index.split("train"))
    choice = Choice(count, "", "rule")
    assert made.measure(batch=choice, micro_batch=choice, workers=Choice(1, "", "rule")).fed == ()
