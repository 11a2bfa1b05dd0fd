"""Room for pixel files: how much they may take in all, which go first, and who uses which."""

import contextlib
import errno
import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lacewing.errors import ConfigError
from lacewing.values import GIB, format_bytes, gib_asked_by

MOST_BYTES = 20 * GIB
MOST_SHARE = 0.1
"""Of the disk's free space, what pixel files take counted as free."""
VARIABLE = "LACEWING_CACHE_GIB"
"""Of the environment: another limit in place of both."""
LOCK = ".lock"
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def pixel_limit(folder: Path) -> int:
    """Bytes that all pixel files in a folder may take: 20 GiB, or 10 % of the free disk if less.

    What they take already they may keep, however full the disk has become since. Or what
    $LACEWING_CACHE_GIB says, as far as the disk has it. The folder need not exist yet. Raises
    OSError where the disk can't be asked, and ConfigError as `asked_bytes` does.
    """
    place = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    taken = sum(size for _, _, size in _by_age(folder))
    room, asked = shutil.disk_usage(place).free + taken, asked_bytes()
    if asked is not None:
        return min(asked, room)
    return max(taken, min(MOST_BYTES, int(room * MOST_SHARE)))


def asked_bytes() -> int | None:
    """What $LACEWING_CACHE_GIB says; None where it is not set.

    Raises ConfigError where it is no number, or one below 0.
    """
    try:
        size = gib_asked_by(VARIABLE)
    except ValueError:
        size = -1
    if size is not None and size < 0:
        said = os.environ[VARIABLE].strip()
        raise ConfigError(f"{VARIABLE} must be a number of GiB, 0 or more, not {said!r}.")
    return size


def make_room(path: Path, size: int) -> None:
    """Delete pixel files, the least recently used first, until `path` fits with `size` bytes.

    Files in use stay. What another process just makes of the same file does not count: it will
    serve here too. Raises OSError (ENOSPC) if it does not fit even so.
    """
    folder = path.parent
    for left in folder.glob(f"{path.name}.*"):  # by a process that was killed; else it is in use
        delete_unused(left)
    limit = pixel_limit(folder)
    files = [file for file in _by_age(folder) if not file[1].name.startswith(path.name)]
    taken = sum(bytes_ for _, _, bytes_ in files)
    for _, other, bytes_ in files if size <= limit else ():
        if taken + size <= limit:
            break
        if delete_unused(other):
            taken -= bytes_
    if taken + size > limit:
        used = f", of which {format_bytes(taken)} are in use" if size <= limit else ""
        reason = (f"{format_bytes(size)} are needed, and all decoded images may take "
                  f"{format_bytes(limit)}{used}; {VARIABLE} sets that limit")  # fmt: skip
        raise OSError(errno.ENOSPC, reason, str(folder))


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Only one process at once is inside such a block, of those with this folder.

    It neither makes a file twice nor deletes one before another has marked it as in use. Where
    there are no locks (Windows, some network disks, a read-only one) nobody waits.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ImportError):
            fcntl = importlib.import_module("fcntl")
            descriptor, _ = open_descriptor(folder / LOCK, os.O_CREAT)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def open_descriptor(path: Path, flags: int = 0) -> tuple[int, str]:
    """An open file, and why it may not be written to; "" if it may. Raises OSError.

    It is opened for writing also where it is only to be locked: on NFS a lock that excludes others
    needs that.
    """
    flags |= getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, os.O_RDWR | flags, 0o666), ""
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        return os.open(path, os.O_RDONLY | flags & ~os.O_CREAT), str(error.strerror)


def lock_shared(file: int) -> None:
    """Mark an open file, by its descriptor, as in use until it is closed. Windows needs no mark."""
    with contextlib.suppress(OSError, ImportError):  # a network disk without locks
        fcntl = importlib.import_module("fcntl")
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def delete_unused(path: Path) -> bool:
    """Delete a file that no process has marked as in use; whether it is gone."""
    with contextlib.suppress(OSError):  # in use, or no longer there: the next one is tried
        if os.name != "nt":
            fcntl = importlib.import_module("fcntl")
            descriptor, _ = open_descriptor(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(descriptor)
        path.unlink()
        return True
    return False


def is_locked(path: Path) -> bool:
    """Whether a process has marked a file as in use; False where there are no locks."""
    with contextlib.suppress(OSError, ImportError):
        fcntl = importlib.import_module("fcntl")
        descriptor, _ = open_descriptor(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def _by_age(folder: Path) -> list[tuple[float, Path, int]]:
    """Time of the last use, path and size in bytes of each pixel file, the oldest first."""
    found = []
    for path in folder.glob("*.u8*"):
        with contextlib.suppress(OSError):  # deleted by another process
            state = path.stat()
            found.append((state.st_mtime, path, state.st_size))
    return sorted(found)
