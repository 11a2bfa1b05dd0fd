"""How the threads of one operation wait for each other: spinning for a moment, then asleep."""

import os
import time
from pathlib import Path

IDLE_TURNS, BUSY_TURNS = 10_000, 1_000
"""Turns of a waiting thread's loop before it sleeps: a part of a millisecond, and less.

`benchmarks/wait_policy.py` measures what they do alone and beside a neighbour."""
LOAD = Path("/proc/loadavg")
IDLE_LOAD = 0.5
"""Threads that ran in the last minute, on average: who runs now, if fewer, has just come."""
LOOKS, PAUSE_SECONDS = 5, 0.002


def let_threads_wait() -> None:
    """Set how long a waiting thread spins, if the user has not; call it before torch loads.

    A thread that sleeps has to be woken for each operation, which costs a small network a quarter
    of its time. One that spins keeps a core from the thread that it waits for, if anything else
    runs on the machine: a step takes twice as long or longer by torch's own setting. So threads
    spin for a moment, and for a shorter one where others are at work now.

    GNU's library (torch for Linux) reads GOMP_SPINCOUNT; others (macOS, Windows) can only be told
    to sleep, by OMP_WAIT_POLICY.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        turns = BUSY_TURNS if others_are_at_work() else IDLE_TURNS
        os.environ.setdefault("GOMP_SPINCOUNT", str(turns))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def others_are_at_work() -> bool:
    """Whether others ran in the last minute and, most times that one looks, run now.

    True where the system does not say.
    """
    try:
        return load() >= IDLE_LOAD and sum(running() > 1 for _ in range(LOOKS)) > LOOKS // 2
    except (OSError, ValueError, IndexError):
        return True


def load() -> float:
    """The mean number of threads that ran or could, over the last minute."""
    return float(LOAD.read_text().split()[0])


def running() -> int:
    """Threads that run or could, this one among them, after a pause."""
    time.sleep(PAUSE_SECONDS)
    return int(LOAD.read_text().split()[3].partition("/")[0])
