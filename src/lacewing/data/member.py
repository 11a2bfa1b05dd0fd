"""Images inside tar files, addressed by where their bytes lie: `a.tar::1536+20480::bees/1.jpg`.

Such a path stands wherever a file's path may stand: nothing is unpacked, and nothing needs to
be remembered, so an index of members can be saved, resumed from and read by any process. The tar
file may lie on a server (`remote.py`).
"""

import io
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from lacewing.data.remote import load_stand_in, open_remote, read_part, stand_in_of

MEMBER = re.compile(r"(.+?\.tar)::([0-9]+)\+([0-9]+)::(.+)", re.DOTALL)


@dataclass(frozen=True)
class Member:
    """A file in a tar file."""

    archive: Path
    start: int
    """Where its bytes begin."""
    size: int
    """Bytes."""
    name: str


def member_path(archive: str, start: int, size: int, name: str) -> str:
    """The path of a member, which `as_member` takes apart."""
    return f"{archive}::{start}+{size}::{name}"


def as_member(path: str | Path) -> Member | None:
    """The member that a path names; None for the path of an ordinary file."""
    found = MEMBER.fullmatch(str(path))
    return found and Member(Path(found[1]), int(found[2]), int(found[3]), found[4])


def open_image(path: str | Path) -> io.BufferedReader | io.BytesIO:
    """A file, or a member of a tar file, open for reading.

    Raises OSError if it isn't whole, or is none: a pipe would be waited for without end.
    """
    member = as_member(path)
    if member is None:
        return open_regular(Path(path))
    content = content_of(member)
    if len(content) < member.size:
        raise OSError("truncated")
    return io.BytesIO(content)


def content_of(member: Member) -> bytes:
    """The bytes of a member, fewer where the tar file ends before. Raises OSError."""
    try:
        with open_regular(member.archive) as file:
            file.seek(member.start)
            return file.read(member.size)
    except FileNotFoundError:
        if not stand_in_of(member.archive).is_file():
            raise
    return read_part(load_stand_in(stand_in_of(member.archive)), member.start, member.size)


def open_archive(path: Path) -> io.BufferedReader:
    """A tar file here or on a server, open for reading. Raises OSError."""
    return open_remote(path) if stand_in_of(path).is_file() else open_regular(path)


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file, open for reading; raises OSError for anything else, without waiting."""
    # without O_NONBLOCK a pipe that nobody writes into is waited for; Windows has no such flag
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError("not a file")


def stat_image(path: str | Path) -> os.stat_result:
    """The state of a file, or of the tar file that holds it, or of what stands in for that."""
    member = as_member(path)
    if member is None:
        return Path(path).stat()
    stand_in = stand_in_of(member.archive)
    return (stand_in if stand_in.is_file() else member.archive).stat()
