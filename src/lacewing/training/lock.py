"""One process per run folder.

The system drops the lock when its process ends, however it ends, so there are no stale locks
to recognise.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from lacewing.errors import RunError
from lacewing.store.run import Run


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Hold the run folder. Raises RunError if another process does, or nothing can be written."""
    try:
        file = run.lock.open("a+", encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"Nothing can be written into the run folder {run.folder} ({error.strerror}): make it "
            "writable, or copy it to where it is."
        ) from None
    with file:
        if not take(file):
            raise RunError(
                f"{run.folder} is in use by {holder(file)}: wait for it to end, or end it."
            )
        sign(file)
        yield


def sign(file: IO[str]) -> None:
    """Say in the file who holds it; the text is for people, the lock does not depend on it."""
    file.truncate(0)
    file.write(json.dumps({"process": os.getpid(), "host": socket.gethostname()}))
    file.flush()


def holder(file: IO[str]) -> str:
    """Who holds the lock, in words."""
    try:
        file.seek(0)
        owner = json.load(file)
        return f"process {owner['process']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):  # just being written, or Windows hides it
        return "another process"


if sys.platform == "win32":
    import msvcrt

    def take(file: IO[str]) -> bool:
        """Lock the file for this process; False if another has it."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def take(file: IO[str]) -> bool:
        """Lock the file for this process; False if another has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
