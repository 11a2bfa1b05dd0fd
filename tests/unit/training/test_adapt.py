"""Changes at run time: the images and their order stay, and each change is an event."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lacewing.engine.prepare import training_mode
from lacewing.hardware.backend import Memory
from lacewing.hardware.fake import FakeBackend
from lacewing.performance_config import AHEAD_SHARE
from lacewing.planning.rules.loading import varied_bytes
from lacewing.store.run import read_lines
from lacewing.training import adapt, loop, meter
from lacewing.training.adapt import Monitor, open_monitor
from lacewing.training.monitor import WINDOWS, CliffWatch, LoaderWatch, MemoryWatch, Window
from lacewing.values import Choice

ONCE = {"epochs": 2, "model": "test_convnext", "image_size": 64}


class Scripted:
    """A watch that answers by script."""

    workers = least = 0

    def __init__(self, *answers):
        self.answers = list(answers)

    def see(self, window):
        return self.answers.pop(0) if self.answers else None

    def forget_speeds(self):
        """Nothing: the script goes on."""

    def halved(self, window):
        """Likewise."""


def changes(session):
    rows = [e for e in read_lines(session.run.events) if e["kind"] in ("loader", "micro-batch")]
    return [(e["field"], e["old"], e["new"]) for e in rows if "field" in e]


@pytest.fixture
def every_step(monkeypatch):
    """Windows of one step each."""
    monkeypatch.setattr(meter, "SHOW_EVERY_SECONDS", 0.0)


def trained(session, monkeypatch, monitor=None):
    if monitor is not None:
        monitor.restart(session)
        monkeypatch.setattr(loop, "open_monitor", lambda _: monitor)
    seen = []
    prepare = session.train_loader._prepare
    monkeypatch.setattr(
        session.train_loader,
        "_prepare",
        lambda epoch, rows: seen.append((epoch, rows.tolist())) or prepare(epoch, rows),
    )
    loop.train(session)
    return dict.fromkeys(map(str, seen)), session.model.state_dict()


def test_a_change_of_threads_within_an_epoch_changes_no_image_and_no_weight(
    begun, monkeypatch, every_step
):
    calm = trained(begun(**ONCE, name="calm", workers=0), monkeypatch)
    changed = begun(**ONCE, name="changed", workers=0)
    monitor = Monitor(Scripted((2, "why"), None, (1, "why not")), None, None)
    order, weights = trained(changed, monkeypatch, monitor)
    assert changes(changed) == [("workers", 0, 2), ("workers", 2, 1)]
    assert set(order) == set(calm[0])
    assert all(torch.equal(weights[name], value) for name, value in calm[1].items())


@pytest.mark.parametrize(
    ("model", "slot", "least"),
    [("test_resnet", "memory", [("micro_batch", 8, 4)]),
     ("test_resnet", "cliff", [("micro_batch", 8, 4)]),
     ("test_convnext", "cliff",
      [("micro_batch", 8, 4), ("micro_batch", 4, 2), ("micro_batch", 2, 1)])],
)  # fmt: skip
def test_a_reduction_keeps_the_batch_down_to_batchnorms_least_or_one(
    begun, monkeypatch, every_step, capsys, model, slot, least
):
    session = begun(**{**ONCE, "model": model, "epochs": 5}, batch_size=8)
    session.progress.micro_batch = 8
    watches = {"cliff": None, "memory": None, slot: Scripted(*["slow"] * 6)}
    monitor = Monitor(Scripted(), **watches)
    trained(session, monkeypatch, monitor)
    assert changes(session) == least
    rows = list(read_lines(session.run.metrics))
    assert rows[-1]["micro_batch"] == least[-1][-1]
    assert rows[-1]["step"] == session.train_loader.steps_per_epoch * 5
    said = capsys.readouterr().err
    assert said.count(f"slow, and passes of {least[-1][-1]} images are as small as they may") == 1


def test_frozen_norms_make_no_statistics(begun):
    session = begun(model="test_resnet", freeze_norms=True)
    training_mode(session.model, freeze_norms=False)
    assert adapt.least_images(session) == 4
    training_mode(session.model, freeze_norms=True)
    assert adapt.least_images(session) == 1


def test_passes_of_another_size_are_compared_with_none_before(begun):
    session = begun()
    cliff, threads = CliffWatch(fastest=1e-9), LoaderWatch(1, most=4, rate_before=1e9)
    monitor = Monitor(threads, cliff, None, micro_batch=session.progress.micro_batch)
    monitor.restart(session)
    session.progress.step += 1
    adapt.adapt(session, monitor)
    assert (cliff.slow, threads.rate_before) == (1, 1e9)
    session.progress.micro_batch //= 2
    session.progress.step += 1
    adapt.adapt(session, monitor)
    assert (cliff.slow, threads.rate_before) == (0, None)


def test_the_cliff_still_knows_the_steps_before_its_own_reduction(begun, monkeypatch):
    session = begun(batch_size=8)
    session.progress.micro_batch = 8
    cliff, threads = CliffWatch(fastest=0.1, slow=WINDOWS - 1), LoaderWatch(1, 4, rate_before=1e9)
    monitor = Monitor(threads, cliff, None, micro_batch=8)
    slow = Window(steps=1, images=8, seconds=1.0, waited=0.0)
    monkeypatch.setattr(adapt, "window_of", lambda *_: slow)
    adapt.adapt(session, monitor)
    assert (session.progress.micro_batch, threads.rate_before) == (4, None)
    adapt.adapt(session, monitor)
    assert (cliff.fastest, cliff.slow, cliff.halved_at) == (0.1, 1, 1.0)


def test_what_another_process_reduced_counts_as_halved_here_too(begun, monkeypatch):
    session = begun(batch_size=8)
    session.progress.micro_batch = 8
    answers = [True, False, False]  # of the others' cliff, spare threads and memory
    monkeypatch.setattr(session, "team", SimpleNamespace(any=lambda _: answers.pop(0)))
    cliff = CliffWatch(fastest=0.1, slow=WINDOWS - 2)
    monitor = Monitor(LoaderWatch(1, 4), cliff, None, micro_batch=8)
    slow = Window(steps=1, images=8, seconds=1.0, waited=0.0)
    monkeypatch.setattr(adapt, "window_of", lambda *_: slow)
    adapt.adapt(session, monitor)
    assert session.progress.micro_batch == 4
    assert (cliff.fastest, cliff.slow, cliff.halved_at) == (0.1, 0, 1.0)


def test_what_is_watched_where(begun):
    gpu = open_monitor(begun(FakeBackend(kind="cuda"), name="a"))
    assert (gpu.cliff is None, gpu.memory) == (True, None)
    assert open_monitor(begun(FakeBackend(kind="mps"), name="b")).cliff is not None
    assert isinstance(open_monitor(begun(name="c")).memory, MemoryWatch)


def with_plan(session, **choices):
    """A session whose plan has other values, chosen by rules."""
    changed = {name: Choice(value, "", "rule") for name, value in choices.items()}
    session.plan = replace(session.plan, **changed)
    return session


def test_on_a_cpu_more_threads_stay_within_the_plans_memory(begun, monkeypatch):
    monkeypatch.setattr(adapt, "usable_cores", lambda: Choice(16, "", "rule"))
    each = varied_bytes(8, 64)
    plan = {"batch": 8, "image_size": 64, "workers": 1}
    for batches, most in ((1, 1), (4, 3), (100, 16)):
        allowed = int((batches + 0.5) * each / AHEAD_SHARE)
        session = with_plan(begun(name=f"cpu{batches}"), **plan, memory_bytes=allowed)
        assert open_monitor(session).loader.most == most
    unknown = with_plan(begun(name="unknown"), **plan, memory_bytes=None)
    assert open_monitor(unknown).loader.most == 16
    gpu = with_plan(begun(FakeBackend(kind="cuda"), name="gpu"), **plan, memory_bytes=1)
    assert open_monitor(gpu).loader.most == 16


def test_where_a_cpus_memory_is_tight_threads_go_before_passes_are_halved(
    begun, monkeypatch, every_step
):
    session = with_plan(begun(**ONCE, batch_size=8), workers=3)
    session.progress.micro_batch = 8
    session.train_loader.loading = replace(session.train_loader.loading, workers=3, prefetch=3)
    monitor = Monitor(LoaderWatch(3, most=4), None, Scripted("tight", None, "tight"))
    trained(session, monkeypatch, monitor)
    assert changes(session) == [("workers", 3, 1), ("micro_batch", 8, 4)]
    assert session.train_loader.loading.prefetch == 1
    assert monitor.loader.settled


def test_a_users_threads_stay_where_the_memory_is_tight(begun):
    session = begun(workers=2, batch_size=8)
    session.progress.micro_batch = 8
    monitor = open_monitor(session)
    adapt.make_room(session, monitor, "tight")
    assert changes(session) == [("micro_batch", 8, 4)]
    assert session.train_loader.loading.workers == 2


def test_a_users_number_of_threads_stays(begun):
    assert open_monitor(begun(name="a", workers=1)).loader.settled
    session = begun(name="b")
    session.plan = replace(session.plan, workers=Choice(1, "", "rule"))
    watch = open_monitor(session).loader
    assert (watch.workers, watch.settled) == (1, False)


def test_the_window_counts_steps_images_and_free_memory(begun):
    session = begun(FakeBackend(total_bytes=1000, free_bytes=250))
    monitor = Monitor(LoaderWatch(0, 1), None, MemoryWatch())
    monitor.restart(session)
    session.progress.step += 3
    session.train_loader.wait_seconds += 0.25
    window = adapt.window_of(session, monitor)
    assert isinstance(window, Window)
    assert (window.steps, window.images) == (3, 3 * session.train_loader.batch_size)
    assert window.waited == pytest.approx(0.25)
    assert window.free_share == pytest.approx(0.25)
    unwatched = Monitor(LoaderWatch(0, 1), None, None)
    assert adapt.window_of(session, unwatched).free_share is None


@pytest.mark.parametrize(("free", "emptied"), [(20, True), (40, False)])
def test_what_the_process_keeps_unused_is_not_taken_by_others(begun, monkeypatch, free, emptied):
    backend = FakeBackend(total_bytes=1000, free_bytes=free)
    session = begun(backend)
    roomy = Memory(total_bytes=1000, free_bytes=500)
    monkeypatch.setattr(backend, "empty_cache", lambda: setattr(backend, "_memory", roomy))
    assert adapt.free_share(session) == (0.5 if emptied else free / 1000)
