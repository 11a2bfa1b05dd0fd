"""A wall clock that jumps while a run trains: a real one, shifted for that process alone."""

import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest

from lacewing.store.run import read_lines
from lacewing.training.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("cc") is None, reason="no compiler, or no Linux"
    ),
]

SHIFTED = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *shift;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("CLOCK_SHIFT"), O_RDONLY);
    void *page = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) shift = page;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    int wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (!failed && wall && shift) now->tv_sec += *shift;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (result) *result = exact.tv_sec;
    return exact.tv_sec;
}
"""
YEAR = 365 * 24 * 3600


@pytest.fixture
def jump(tmp_path, monkeypatch):
    """`jump(seconds)` shifts the clock of the processes that are started afterwards."""
    source, library, shift = (tmp_path / name for name in ("clock.c", "clock.so", "shift"))
    source.write_text(SHIFTED)
    shift.write_bytes(bytes(8))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("CLOCK_SHIFT", str(shift))

    def to(seconds):
        with shift.open("rb+") as file:
            file.write(struct.pack("q", seconds))

    return to


def test_jumps_of_years_change_no_duration(launch, jump):
    began = time.monotonic()
    training = launch("--epochs", "100000", "--checkpoint-seconds", "0.05")
    training.until_epoch(2)
    jump(-10 * YEAR)
    training.until_epoch(5)
    jump(10 * YEAR)
    training.until_epoch(8)
    training.send(signal.SIGTERM)
    assert training.code() == 130
    passed = time.monotonic() - began
    years = [int(event["time"][:4]) for event in read_lines(training.run.events)]
    assert years[-1] - years[0] == 10  # it did jump
    rows = list(read_lines(training.run.metrics))
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(0 < row["seconds"] < passed for row in rows)
    assert sum(row["seconds"] for row in rows) < passed
    last = load_checkpoint(training.run)
    assert last.epoch == len(rows)
    assert 0 < last.plain["progress"]["elapsed_seconds"] < passed
