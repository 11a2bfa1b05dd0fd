"""Folders that are either not there or whole, whoever else makes them at the same time."""

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def made_once(target: Path, is_whole: Callable[[Path], bool]) -> Iterator[Path]:
    """A new folder beside `target` that takes its place when the block ends well.

    Where another process was first, its folder stays. One that is not whole is set aside and
    removed. Names are random: in containers all processes have the same number. Raises OSError.
    """
    temporary = beside(target)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        put(temporary, target, is_whole)
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
