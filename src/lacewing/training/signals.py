"""Ctrl-C and the end of a job: finish the step, save, and leave."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

Item = TypeVar("Item")
Handler = Callable[[int, FrameType | None], None]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C; and what schedulers send before they kill (SLURM, Kubernetes, spot machines)."""


class StoppedError(Exception):
    """Raised inside work that is given up because the run was asked to end."""


@dataclass
class Stop:
    """Set once somebody asked the run to end."""

    asked_by: str | None = None
    """The signal that the run goes by; several processes agree on it after a step."""
    heard: str | None = None
    """The signal that this process got."""

    def check(self) -> None:
        """Raise StoppedError once it is set."""
        if self.asked_by:
            raise StoppedError(self.asked_by)

    def checked(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, until it is set: then StoppedError, once the last one is dealt with."""
        self.check()
        for item in items:
            yield item
            self.check()


@contextmanager
def stop_on_signals(alone: bool = True) -> Iterator[Stop]:
    """SIGINT and SIGTERM set the flag; a second one raises KeyboardInterrupt at once.

    One of several processes (`alone` is False) only remembers what it heard. Outside the main
    thread signals can't be caught, and the flag is never set.
    """
    stop = Stop()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.heard:
            raise KeyboardInterrupt
        stop.heard = signal.Signals(number).name
        if alone:
            stop.asked_by = stop.heard

    with handling(handle):
        yield stop


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """SIGTERM ends what has nothing to save as Ctrl-C does: files are closed, none is left half."""

    def handle(_number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handling(handle):
        yield


@contextmanager
def signals_wait() -> Iterator[None]:
    """A signal that comes inside the block acts at its end: what is written there is whole."""
    heard: list[int] = []
    with handling(lambda number, _: heard.append(number)):
        yield
    if heard:
        signal.raise_signal(heard[0])


@contextmanager
def handling(handle: Handler) -> Iterator[None]:
    """Call `handle` for both signals inside the block, in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
