"""The watches: what a run changes of itself, and what it leaves alone."""

from dataclasses import replace

import pytest

from lacewing.training.monitor import (
    MOST_REDUCTIONS,
    WINDOWS,
    CliffWatch,
    LoaderWatch,
    MemoryWatch,
    Window,
)

CALM = Window(steps=10, images=160, seconds=1.0, waited=0.0)
WAITING = replace(CALM, waited=0.3)


def told(watch, window, times=WINDOWS):
    return [watch.see(window) for _ in range(times)]


def test_a_window_divides_by_what_it_counts():
    assert WAITING.rate == pytest.approx(160)
    assert WAITING.step_seconds == pytest.approx(0.07)


def test_waiting_in_each_window_brings_one_more_thread():
    watch = LoaderWatch(workers=1, most=4)
    *before, (workers, reason) = told(watch, WAITING)
    assert before == [None] * (WINDOWS - 1)
    assert workers == 2
    assert "at least 30%" in reason


def test_one_calm_window_among_them_brings_none():
    watch = LoaderWatch(workers=1, most=4)
    assert [watch.see(window) for window in (WAITING, CALM, WAITING)] == [None] * 3


def test_a_thread_that_brings_nothing_goes_and_no_other_is_tried():
    watch = LoaderWatch(workers=0, most=4)
    told(watch, WAITING)
    *_, (workers, reason) = told(watch, replace(WAITING, images=161))
    assert workers == 0
    assert "161 images/s after 160" in reason
    assert told(watch, WAITING, 9) == [None] * 9


def test_a_thread_that_pays_stays_and_the_next_is_tried_while_there_are_cores():
    watch = LoaderWatch(workers=0, most=2)
    told(watch, WAITING)
    assert told(watch, replace(WAITING, images=200))[-1][0] == 2
    assert told(watch, replace(WAITING, images=250), 9) == [None] * 9
    assert watch.workers == 2


def test_a_lasting_fall_of_speed_is_a_full_memory_and_a_short_one_is_not():
    watch = CliffWatch()
    slow = replace(CALM, seconds=4.0)
    assert told(watch, CALM) == [None] * WINDOWS
    assert [watch.see(w) for w in (slow, slow, CALM, slow)] == [None] * 4
    assert "4.0 times as long" in [watch.see(slow) for _ in range(2)][-1]


def test_passes_are_halved_again_while_that_helps_and_steps_stay_beyond_the_cliff():
    watch = CliffWatch()
    told(watch, CALM)
    for seconds in (16.0, 8.0, 4.0):
        reason = told(watch, replace(CALM, seconds=seconds))[-1]
        assert f"{seconds} times as long" in reason
    assert told(watch, replace(CALM, seconds=2.0), 6) == [None] * 6
    assert "5.0 times" in told(watch, replace(CALM, seconds=5.0))[-1], "the next cliff"


def test_halving_that_brought_nothing_is_the_last():
    """It was another program that slowed the device down."""
    watch, slow = CliffWatch(), replace(CALM, seconds=4.0)
    told(watch, CALM)
    assert told(watch, slow)[-1] is not None
    assert told(watch, slow, 9) == [None] * 9
    told(watch, CALM)
    assert told(watch, slow, 9) == [None] * 9


def test_speeds_of_another_image_size_are_forgotten():
    cliff, threads = CliffWatch(), LoaderWatch(workers=1, most=4)
    slow = replace(CALM, seconds=4.0)
    told(cliff, CALM)
    told(cliff, slow, WINDOWS - 1)
    told(threads, WAITING)
    cliff.forget_speeds()
    threads.forget_speeds()
    assert told(cliff, slow, 6) == [None] * 6
    # slower than before and waiting: one more thread, not one fewer
    assert told(threads, replace(slow, waited=1.0))[-1][0] == 3


def test_waiting_for_images_is_no_cliff():
    watch = CliffWatch()
    told(watch, CALM)
    assert told(watch, replace(CALM, seconds=9.0, waited=8.0), 6) == [None] * 6


def test_a_device_that_computed_while_images_were_waited_for_hides_its_steps_time():
    """From decoding to kept pixels: what was only the time of asking becomes that of computing."""
    watch = CliffWatch()
    told(watch, replace(CALM, waited=0.9))
    assert told(watch, CALM, 6) == [None] * 6


def test_little_free_memory_is_told_a_few_times_only():
    watch = MemoryWatch()
    tight = replace(CALM, free_share=0.01)
    assert "only 1.0%" in told(watch, tight)[-1]
    assert sum(one is not None for one in told(watch, tight, 30)) == MOST_REDUCTIONS - 1
    assert told(MemoryWatch(), replace(CALM, free_share=0.5), 9) == [None] * 9
    assert told(MemoryWatch(), CALM, 9) == [None] * 9
