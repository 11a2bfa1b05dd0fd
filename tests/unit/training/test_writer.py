"""The keeper: when it saves, and what it does when the disk refuses."""

import threading

import pytest
import torch

from lacewing.store.run import Run, read_lines
from lacewing.training import writer
from lacewing.training.events import EventLog
from lacewing.training.state import Progress, Snapshot
from lacewing.training.writer import Keeper


def snapshot(step):
    return Snapshot({"w": torch.zeros(1)}, {}, {"progress": vars(Progress(step=step))})


@pytest.fixture
def make(tmp_path):
    run = Run(tmp_path)
    return lambda seconds, **more: Keeper(run, EventLog(run, lambda _: None), seconds, **more)


@pytest.fixture
def clock(monkeypatch):
    """`clock[0]` is what time.perf_counter says."""
    now = [100.0]
    monkeypatch.setattr(writer.time, "perf_counter", lambda: now[0])
    return now


def events(keeper):
    return [event["message"] for event in read_lines(keeper.run.events)]


def test_it_writes_in_a_thread_of_its_own(make, monkeypatch):
    threads = []
    monkeypatch.setattr(
        writer, "save_checkpoint", lambda *_: threads.append(threading.current_thread())
    )
    with make(60) as keeper:
        keeper.keep(snapshot(1))
    assert threads != [threading.main_thread()]
    assert len(threads) == 1


def test_it_is_due_when_the_time_is_up(make, clock, monkeypatch):
    monkeypatch.setattr(writer, "save_checkpoint", lambda *_: None)
    keeper = make(60, on_disk=False, _kept_at=100.0)
    clock[0] = 159
    assert not keeper.due()
    clock[0] = 160
    assert keeper.due()
    keeper.keep(snapshot(1))
    assert not keeper.due()


def test_a_dear_one_is_due_later(make, clock):
    keeper = make(60, on_disk=False)
    keeper.keep(snapshot(1), copy_seconds=2.0)
    clock[0] = 299
    assert not keeper.due()
    clock[0] = 300
    assert keeper.due()


def test_zero_seconds_mean_every_step(make):
    keeper = make(0, on_disk=False)
    keeper.keep(snapshot(1), copy_seconds=9.0)
    assert keeper.due()


def test_none_is_due_while_one_is_written(make, clock, monkeypatch):
    free = threading.Event()
    monkeypatch.setattr(writer, "save_checkpoint", lambda *_: free.wait(10))
    with make(1) as keeper:
        keeper.keep(snapshot(1))
        clock[0] += 1000
        assert not keeper.due()
        free.set()
        keeper.wait()
        assert keeper.due()


def test_a_refusal_is_said_once_and_so_is_its_end(make, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    with make(60) as keeper:
        with monkeypatch.context() as patch:
            patch.setattr(writer, "save_checkpoint", refuse)
            for step in (1, 2):
                keeper.keep(snapshot(step))
                keeper.wait()
        assert keeper.failing
        keeper.keep(snapshot(3))
        keeper.wait()
        assert not keeper.failing
    assert [text.partition(" (")[0] for text in events(keeper)] == [
        "the checkpoint could not be written",
        "checkpoints can be written again",
    ]
    assert keeper.good.step == 3


def test_another_error_is_ours_and_raised(make, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(writer, "save_checkpoint", fail)
    with pytest.raises(ZeroDivisionError, match="a fault"), make(60) as keeper:
        keeper.keep(snapshot(1))


def test_nothing_is_written_where_nothing_is_asked_for(make, monkeypatch):
    monkeypatch.setattr(writer, "save_checkpoint", pytest.fail)
    with make(60, on_disk=False) as keeper:
        keeper.keep(snapshot(1))
    assert keeper.good.step == 1


def test_without_room_for_a_thread_it_writes_at_once(make, monkeypatch):
    written = []

    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(writer, "save_checkpoint", lambda run, made: written.append(made))
    monkeypatch.setattr(threading.Thread, "start", start)
    with make(60.0) as keeper:
        keeper.keep(snapshot(1))
        assert [made.step for made in written] == [1]
