"""The newest good state of a run: in memory at once, on the disk a little later.

The training thread only copies the state; a thread of its own writes it. A disk that refuses
(full, gone, read-only) costs a warning: training goes on, the old checkpoints stay, and the
next one is tried again.
"""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

from lacewing.store.run import Run
from lacewing.training.checkpoint import save_checkpoint
from lacewing.training.events import EventLog
from lacewing.training.state import Snapshot

COST_SHARE = 0.01
"""Largest share of the time that checkpoints within an epoch may cost."""


@dataclass
class Keeper:
    """Keeps snapshots; a block `with keeper` ends when the last one is written."""

    run: Run
    events: EventLog
    every_seconds: float
    """Between two checkpoints within an epoch; longer where they are dear, 0 after every step."""
    on_disk: bool = True
    good: Snapshot | None = None
    """The newest one."""
    failing: bool = False
    """Whether the disk refused the last one."""
    cost_seconds: float = 0.0
    """What the last one took from training: copying it, and the writing thread's computing."""
    _kept_at: float = field(default_factory=time.perf_counter)
    _thread: threading.Thread | None = None
    _error: Exception | None = None

    def due(self) -> bool:
        """Whether the work since the last snapshot is worth another."""
        if not self.every_seconds:
            return True
        if self._thread is not None and self._thread.is_alive():
            return False
        pause = max(self.every_seconds, self.cost_seconds / COST_SHARE)
        return time.perf_counter() - self._kept_at >= pause

    def keep(self, snapshot: Snapshot, copy_seconds: float = 0.0) -> None:
        """Make it the newest one; returns before it is on the disk, but after the one before is."""
        self.wait()
        self.good, self._kept_at, self.cost_seconds = snapshot, time.perf_counter(), copy_seconds
        if self.on_disk:
            # no daemon: Python ends those inside torch's code, which ends the process by SIGABRT
            thread = threading.Thread(target=self._write, args=(snapshot,))
            try:
                thread.start()
            except RuntimeError:  # the system has no memory for one more: it can wait
                self._write(snapshot)
                self._tell()
            else:
                self._thread = thread

    def put_off(self) -> None:
        """There was no memory for one: try again as if it had been kept."""
        self._kept_at = time.perf_counter()

    def wait(self) -> None:
        """Wait until the last one is written, and say once if it could not be."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._tell()

    def _tell(self) -> None:
        error, self._error = self._error, None
        if error is not None and not isinstance(error, OSError):
            raise error
        if error is not None and not self.failing:
            self.events.warn(
                "checkpoint",
                f"the checkpoint could not be written ({error}): training goes on, the older "
                "ones stay, and the next one is tried again",
            )
        if error is None and self.failing:
            self.events.add("checkpoint", "checkpoints can be written again")
        self.failing = error is not None

    def _write(self, snapshot: Snapshot) -> None:
        started = time.thread_time()
        try:
            save_checkpoint(self.run, snapshot)
        except Exception as error:  # told by `wait`, in the training thread
            self._error = error
        self.cost_seconds += time.thread_time() - started

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self.wait()
