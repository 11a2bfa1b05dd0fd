"""The C library keeps the memory that tensors leave, for the next ones."""

import ctypes
import os
import sys
from collections.abc import MutableMapping
from typing import Any

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Numbers of mallopt(3)'s parameters."""
ENDLESS_BYTES = 2**40
SETTINGS = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(ENDLESS_BYTES)}
"""The same for child processes, which read them when they start."""
OF_THE_USER = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed, unless the user has said how; tell if it does so now.

    GNU's malloc (most of Linux) takes each large block from the system and gives it back when it
    is freed. The system hands it out page by page, each cleared first, so that a CPU spends up to
    half of a forward pass on getting the same memory again (`benchmarks/allocator.py`). In threads
    other than the first, blocks of more than 64 MiB still come from the system. `give_back`
    returns what is kept unused.

    Under a limit on the address space (`ulimit -v`) nothing is kept: addresses would not be given
    back with the memory, and soon be all taken.
    """
    library = gnu_library()
    if library is None or user_has_said(os.environ) or addresses_are_limited():
        return False
    kept = library.mallopt(MMAP_MAX, 0) and library.mallopt(TRIM_THRESHOLD, -1)
    os.environ.update(SETTINGS)
    return bool(kept)


def is_kept() -> bool:
    """Whether this process keeps what is freed, as `keep_freed_memory` or its parent had it."""
    return all(os.environ.get(name) == value for name, value in SETTINGS.items())


def give_back() -> bool:
    """Return unused memory to the system, which clears it before it is used again.

    Tells if there was any.
    """
    library = gnu_library()
    return library is not None and bool(library.malloc_trim(0))


def addresses_are_limited() -> bool:
    """Whether the process may use a part of the address space only; asked on Linux."""
    import resource  # not there on Windows

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def gnu_library() -> Any | None:
    """GNU's C library; None where the process has another."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def user_has_said(environment: MutableMapping[str, str]) -> bool:
    """Whether the environment has settings of malloc, which may be a parent process's of ours."""
    tuned = "glibc.malloc." in environment.get("GLIBC_TUNABLES", "")
    return tuned or any(name in environment for name in OF_THE_USER)
