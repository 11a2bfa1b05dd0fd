"""Room for pixel files: how much they may take in all, and which of them go first."""

import contextlib
import errno
import importlib
import os
import shutil
from pathlib import Path

from lacewing.values import GIB, format_bytes

MOST_BYTES = 20 * GIB
MOST_SHARE = 0.1
"""Of the disk's free space, what pixel files take counted as free."""


def pixel_limit(folder: Path) -> int:
    """Bytes that all pixel files in a folder may take: 20 GiB, or 10 % of the free disk if less.

    The folder need not exist yet. Raises OSError where the disk can't be asked.
    """
    place = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    taken = sum(size for _, _, size in _by_age(folder))
    return min(MOST_BYTES, int((shutil.disk_usage(place).free + taken) * MOST_SHARE))


def make_room(folder: Path, size: int) -> None:
    """Delete pixel files, the least recently used first, until one of `size` bytes fits.

    Files in use stay. Raises OSError (ENOSPC) if it does not fit even so.
    """
    limit = pixel_limit(folder)
    files = _by_age(folder)
    taken = sum(bytes_ for _, _, bytes_ in files)
    for _, path, bytes_ in files if size <= limit else ():
        if taken + size <= limit:
            break
        if delete_unused(path):
            taken -= bytes_
    if taken + size > limit:
        reason = (f"{format_bytes(size)} are needed, and all decoded images may take "
                  f"{format_bytes(limit)}, of which {format_bytes(taken)} are in use")  # fmt: skip
        raise OSError(errno.ENOSPC, reason, str(folder))


def lock_shared(file: int) -> None:
    """Mark an open file, by its descriptor, as in use until it is closed. Windows needs no mark."""
    with contextlib.suppress(OSError, ImportError):  # a network disk without locks
        fcntl = importlib.import_module("fcntl")
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def delete_unused(path: Path) -> bool:
    """Delete a file that no process has marked as in use; whether it is gone."""
    with contextlib.suppress(OSError):  # in use, or no longer there: the next one is tried
        if os.name != "nt":
            with path.open("rb") as file:
                fcntl = importlib.import_module("fcntl")
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False


def _by_age(folder: Path) -> list[tuple[float, Path, int]]:
    """Time of the last use, path and size in bytes of each pixel file, the oldest first."""
    found = []
    for path in folder.glob("*.u8*"):
        with contextlib.suppress(OSError):  # deleted by another process
            state = path.stat()
            found.append((state.st_mtime, path, state.st_size))
    return sorted(found)
