"""Folders that are either not there or whole, whoever else makes them at the same time."""

import contextlib
import glob
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lacewing.store.atomic import STALE_SECONDS, sync_all, sync_folder


@contextlib.contextmanager
def made_once(target: Path, is_whole: Callable[[Path], bool]) -> Iterator[Path]:
    """A new folder beside `target` that takes its place when the block ends well.

    Where another process was first, its folder stays. One that is not whole is set aside and
    removed, and so is what killed processes left. Names are random: in containers all processes
    have the same number. Raises OSError.
    """
    remove_stale(target.parent, glob.escape(target.name))
    temporary = beside(target)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        sync_all(temporary)  # before its name says that it is whole
        put(temporary, target, is_whole)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put(folder: Path, target: Path, is_whole: Callable[[Path], bool]) -> None:
    """Rename a folder, unless what stands in its place is whole. Raises OSError."""
    if is_whole(target):
        return
    old = beside(target)
    with contextlib.suppress(FileNotFoundError):
        target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        if not is_whole(target):  # another process was a moment quicker
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def beside(target: Path) -> Path:
    """A name that nothing else has."""
    return target.with_name(f"{target.name}.{secrets.token_hex(4)}.tmp")


def remove_stale(folder: Path, names: str) -> None:
    """Remove what killed processes left in a folder, of targets whose names fit a glob pattern."""
    for left in folder.glob(f"{names}.{'?' * 8}.tmp"):
        with contextlib.suppress(OSError):  # another process removes it too
            if is_stale(left):
                shutil.rmtree(left)


def is_stale(folder: Path) -> bool:
    """Whether nothing was written into a folder, however deep, for a day. Raises OSError."""
    limit = time.time() - STALE_SECONDS
    return all(path.lstat().st_mtime < limit for path in (folder, *folder.rglob("*")))
