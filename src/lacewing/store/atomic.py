"""Files that are either the old one or the new one, whatever happens in between."""

import contextlib
import ctypes
import errno
import glob
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

STALE_SECONDS = 24 * 3600
"""So long after the last write nobody is still writing: the process was killed."""
CAN_NOT = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""How a file system says that it flushes no folders."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    The file's content and the folder's entry are flushed to the disk before this returns. What
    killed processes left of files that were there is removed after a day, as far as the same file
    is written again.
    """
    if path.exists():  # the folder is listed: not for each of the many files of a new one
        remove_left(path)
    # a random name: in containers all processes have the same number
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_left(path: Path) -> None:
    """Remove temporary files of a path that nobody writes to any more."""
    limit = time.time() - STALE_SECONDS
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'?' * 8}.tmp"):
        with contextlib.suppress(OSError):  # another process removes it too
            if left.lstat().st_mtime < limit:
                left.unlink()


def write_text(path: Path, text: str) -> None:
    """Replace a text file."""
    with replacing(path) as temporary:
        # the name of a file may hold bytes that are no UTF-8
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, where that can be done.

    Windows has no such call and needs none; some shared folders and network disks refuse it.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CAN_NOT:
            raise
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Flush all that a folder holds to the disk.

    On Linux by one call for its file system: for each of many small files it would take minutes.
    """
    if sys.platform != "linux":
        for path in folder.rglob("*"):
            if path.is_file():
                sync_file(path)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)
