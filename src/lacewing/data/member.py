"""Images inside tar files, addressed by where their bytes lie: `a.tar::1536+20480::bees/1.jpg`.

Such a path stands wherever a file's path may stand: nothing is unpacked, and nothing needs to
be remembered, so an index of members can be saved, resumed from and read by any process. The tar
file may lie on a server (see `remote`).
"""

import io
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from lacewing.data.remote.server import RemoteFile, read_part
from lacewing.data.remote.stand_in import open_remote, remote_shard, stand_in_of

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
    text = str(path)
    found = MEMBER.fullmatch(text) if ".tar::" in text else None
    return found and Member(Path(found[1]), int(found[2]), int(found[3]), found[4])


def open_image(path: str | Path) -> io.BufferedReader | io.BytesIO:
    """A file, or a member of a tar file, open for reading.

    Raises DataError where a server fails, and OSError if it isn't whole, or is none: a pipe would
    be waited for without end.
    """
    member = as_member(path)
    if member is None:
        return open_regular(Path(path))
    content = content_of(member, member.size)
    if len(content) < member.size:
        raise OSError("truncated")
    return io.BytesIO(content)


def read_head(path: str | Path, size: int) -> bytes:
    """The first bytes of a file or member; no more is asked of a server. Raises as `open_image`."""
    member = as_member(path)
    if member is not None:
        return content_of(member, min(size, member.size))
    with open_regular(Path(path)) as file:
        return file.read(size)


def content_of(member: Member, size: int) -> bytes:
    """The first bytes of a member, fewer where the tar file ends before.

    Raises OSError, and DataError where the server that has it fails.
    """
    try:
        with open_regular(member.archive) as file:
            file.seek(member.start)
            return file.read(size)
    except FileNotFoundError:
        remote = remote_shard(member.archive)
        if remote is None:
            raise
    return read_part(remote, member.start, size)


def remote_of(path: str | Path) -> RemoteFile | None:
    """The file on a server that holds an image; None for those here."""
    member = as_member(path)
    return None if member is None else remote_shard(member.archive)


def open_archive(path: Path) -> io.BufferedReader:
    """A tar file here or on a server, open for reading. Raises OSError."""
    remote = None if path.exists() else remote_shard(path)
    return open_regular(path) if remote is None else open_remote(remote)


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file, open for reading; raises OSError for anything else, without waiting."""
    # without O_NONBLOCK a pipe that nobody writes into is waited for; Windows has no such flag
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError("not a file")


def stat_image(
    path: str | Path, archives: dict[Path, os.stat_result] | None = None
) -> os.stat_result:
    """The state of a file, or of the tar file that holds it, or of what stands in for that.

    `archives` keeps the states of tar files, so that each is asked for once. Raises OSError.
    """
    member = as_member(path)
    if member is None:
        return os.stat(path)  # noqa: PTH116 (a Path takes three times as long)
    known = {} if archives is None else archives
    if member.archive not in known:
        known[member.archive] = stat_archive(member.archive)
    return known[member.archive]


def stat_archive(archive: Path) -> os.stat_result:
    """The state of a tar file, or of what stands in for it. Raises OSError."""
    try:
        return archive.stat()
    except FileNotFoundError:
        return stand_in_of(archive).stat()
