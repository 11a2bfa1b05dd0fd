"""A data set that is still in its .tar: unpacked once, safely."""

import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from lacewing.data.cache import UNPACKED
from lacewing.errors import DataError
from lacewing.store.made_once import made_once
from lacewing.values import first_line, format_bytes

Progress = Callable[[int, int], None]


def is_archive(path: Path) -> bool:
    """Whether a file is named like a tar archive."""
    return path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def unpack(archive: Path, cache: Path, progress: Progress | None = None) -> Path:
    """The folder with an archive's content: `<archive>.unpacked` beside it.

    If nothing can be written there it lies in `cache`. It is made only once for an archive of
    this size and time. What was unpacked from another state stays as it is, for a run may be using
    it: that of this one is `<archive>-<state>.unpacked`. `progress` gets bytes done and in total.
    Raises DataError for a damaged archive, for one that would write outside that folder, and for
    a full disk.
    """
    state = archive.stat()
    stamp = f"{state.st_size} {state.st_mtime_ns}"
    first = archive.with_name(archive.name + ".unpacked")
    later = archive.with_name(f"{archive.name}-{_digest(stamp, 4)}.unpacked")
    cached = cache / "unpacked" / f"{archive.name}-{_digest(f'{archive.resolve()} {stamp}', 8)}"
    for place in (first, later, cached):
        if _mark_of(place) == stamp:
            return place
    target = later if _mark_of(first) else first
    if target.exists() or not os.access(archive.parent, os.W_OK):
        target = cached  # somebody's own folder of that name is left alone
    try:
        with made_once(target, lambda folder: _mark_of(folder) == stamp) as temporary:
            _extract(archive, temporary, progress)
            (temporary / UNPACKED).write_text(stamp, encoding="ascii")
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(archive, error) from None
    except OSError as error:
        if error.errno is None:  # not the system's: bzip2's and gzip's way to say it
            raise _damaged(archive, error) from None
        raise DataError(f"{archive} can't be unpacked into {target}: {error.strerror}.") from None
    return target


def _damaged(archive: Path, error: Exception) -> DataError:
    return DataError(
        f"{archive} is damaged ({first_line(error)}): download it again, or unpack it yourself."
    )


def _digest(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=size).hexdigest()


def _mark_of(folder: Path) -> str:
    try:
        return (folder / UNPACKED).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _extract(archive: Path, target: Path, progress: Progress | None) -> None:
    """Write the regular files of an archive; links out of it and devices are never made."""
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        needed = sum(member.size for member in members)
        free = shutil.disk_usage(target).free
        if needed > free:
            raise DataError(
                f"{archive} needs {format_bytes(needed)} to be unpacked into {target.parent}, "
                f"where {format_bytes(free)} are free."
            )
        done = 0
        for member in members:
            if member.isreg() or member.islnk():
                _write(tar, member, target / _safe_name(archive, member.name))
            done += member.size
            if progress is not None:
                progress(done, needed)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    try:
        source = tar.extractfile(member)
    except KeyError:  # a link to something that is not in the archive
        return
    if source is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with source, path.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def _safe_name(archive: Path, name: str) -> str:
    plain = PurePosixPath(name.replace("\\", "/"))
    if plain.is_absolute() or ".." in plain.parts or ":" in plain.parts[0]:
        raise DataError(
            f"{archive} holds {name!r}, which would be written outside its folder; nothing was "
            "unpacked."
        )
    return str(plain)
