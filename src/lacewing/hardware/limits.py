"""What of the machine this process may use: cores, memory, shared memory, files, disk.

Everything reads below `root`, so that a test can lay out another machine's files.
"""

import os
import shutil
import sys
from pathlib import Path

import psutil

from lacewing.hardware.cgroups import groups_of
from lacewing.hardware.machine import Limit

ROOT = Path("/")


def host_cores() -> int:
    """Cores of the machine, whoever may use them."""
    return os.cpu_count() or 1


def affinity_cores() -> int | None:
    """Cores that this process may run on (taskset, cpuset); None where it can't be asked."""
    if sys.platform == "win32" or not hasattr(os, "sched_getaffinity"):
        return None
    return len(os.sched_getaffinity(0))


def usable_cores(
    root: Path = ROOT, *, host: int | None = None, affinity: int | None = None
) -> Limit:
    """The smallest of the host's cores, the affinity mask and the cgroup's quota, at least 1.

    A quota is rounded down: a thread too many is stopped by the kernel half the time.
    `host` and `affinity` stand in for what the system says.
    """
    host = host_cores() if host is None else host
    affinity = affinity_cores() if affinity is None else affinity
    limits = [Limit(value=host, source="host")]
    if affinity is not None:
        limits.append(Limit(value=affinity, source="CPU affinity"))
    for group in groups_of("cpu", root):
        quota = group.quota_cores()
        if quota is not None:
            limits.append(Limit(value=max(1, int(quota)), source="cgroup quota"))
    # of equal limits the first is named
    return min(limits, key=lambda limit: limit.value)


def usable_memory(root: Path = ROOT, *, rlimits: dict[str, int] | None = None) -> Limit:
    """Bytes of RAM: the smallest of the host's, the cgroup's and the rlimits."""
    limits = [Limit(value=_host_memory(root)[0], source="host")]
    for group in groups_of("memory", root):
        allowed = group.memory_limit()
        if allowed is not None:
            limits.append(Limit(value=allowed, source="cgroup memory limit"))
    for name, allowed in (memory_rlimits() if rlimits is None else rlimits).items():
        limits.append(Limit(value=allowed, source=name))
    return min(limits, key=lambda limit: limit.value)


def free_memory(root: Path = ROOT, *, rlimits: dict[str, int] | None = None) -> int:
    """Bytes of RAM that can be allocated now without swapping and within every limit."""
    free = [_host_memory(root)[1]]
    for group in groups_of("memory", root):
        left = group.memory_free()
        if left is not None:
            free.append(left)
    rlimits = memory_rlimits() if rlimits is None else rlimits
    if rlimits:
        # an rlimit counts this process's addresses alone, whether touched or not: all of them, or,
        # where Linux tells it, those of private memory that can be written to
        taken = psutil.Process().memory_info()
        counted = {"RLIMIT_DATA": getattr(taken, "data", taken.vms)}
        free += [allowed - counted.get(name, taken.vms) for name, allowed in rlimits.items()]
    return max(0, min(free))


def memory_rlimits() -> dict[str, int]:
    """The soft limits on this process's addresses that are set, in bytes, by name."""
    if sys.platform == "win32":
        return {}
    import resource  # not there on Windows

    names = ("RLIMIT_AS", "RLIMIT_DATA")
    found = {name: resource.getrlimit(getattr(resource, name))[0] for name in names}
    return {name: soft for name, soft in found.items() if soft != resource.RLIM_INFINITY}


def shared_memory_free(root: Path = ROOT) -> int | None:
    """Bytes free in /dev/shm, through which loader processes pass batches; None without it."""
    folder = root / "dev/shm"
    return shutil.disk_usage(folder).free if folder.is_dir() else None


def open_files() -> int | None:
    """How many files one process may hold open; None where there is no such limit."""
    if sys.platform == "win32":
        return None
    import resource  # not there on Windows

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def disk_free(folder: Path) -> int | None:
    """Bytes free where the folder is, or would be made; None if that can't be told."""
    absolute = folder.absolute()
    for place in (absolute, *absolute.parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


def _host_memory(root: Path) -> tuple[int, int]:
    """Total and available bytes of the host's RAM, from /proc/meminfo or the system's count."""
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii")
        kibibytes = {
            name: int(rest.split()[0])
            for name, _, rest in (line.partition(":") for line in text.splitlines())
            if name in ("MemTotal", "MemAvailable")
        }
        return kibibytes["MemTotal"] * 1024, kibibytes["MemAvailable"] * 1024
    except (OSError, KeyError):
        memory = psutil.virtual_memory()
        return memory.total, memory.available
