"""Parts of files on a server, by HTTP range requests (RFC 9110, section 14)."""

import importlib
import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import chain, repeat
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lacewing.data.remote.address import shown
from lacewing.errors import DataError, MissingExtraError

Item = TypeVar("Item")
Found = TypeVar("Found")

BLOCK_BYTES = 2**18
"""What is read at once while a shard's list of members is made."""
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt; the last again and again."""
PATIENCE = 30.0
"""Seconds after which there is no further attempt."""
TIMEOUT = (10, 20)
"""Seconds for a connection, and between two parts of an answer."""
BUSY = (408, 429, 500, 502, 503, 504)
"""Answers after which another attempt may do better."""
MAX_TEXT_BYTES = 2**20
READERS = 16
"""Threads that read at once: they wait for the server most of the time."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server, as it was when it was first asked for."""

    url: str
    size: int
    """Bytes."""
    version: str
    """Its ETag, or the time of its last change; empty where the server tells neither."""

    @property
    def state(self) -> tuple[int, int]:
        """Its size in bytes, and a number of 63 bits for its version; its address may change."""
        digest = blake2b(self.version.encode(), digest_size=8).digest()
        return self.size, int.from_bytes(digest) >> 1


def at_once(work: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """What `work` gives for each item, in their order. An interruption drops what has not begun."""
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="remote")
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class TryAgainError(Exception):
    """A request that failed and may go well the next time."""


def described(url: str) -> RemoteFile:
    """Size and version of a file, by reading its first byte. Raises DataError."""
    answer = ask(url, range_of(0, 1))
    total = total_of(answer)
    if total is None:
        raise DataError(f"{host_of(url)} does not tell the size of {shown(url)}: copy it here.")
    return RemoteFile(url, total, version_of(answer))


def read_part(file: RemoteFile, start: int, size: int) -> bytes:
    """`size` bytes from `start` on, fewer at the end. Raises DataError, also for a changed file."""
    size = min(size, file.size - start)
    if size <= 0:
        return b""
    answer = ask(file.url, range_of(start, size), size)
    if (version_of(answer), total_of(answer)) != (file.version, file.size):
        raise DataError(
            f"{shown(file.url)} has changed on the server since the run began: start it anew."
        )
    return bytes(answer.content)


def read_small(url: str) -> bytes | None:
    """A text of at most `MAX_TEXT_BYTES`; None if there is none that one may read, or an empty one.

    Raises DataError.
    """
    answer = ask(url, range_of(0, MAX_TEXT_BYTES), allowed=(401, 403, 404, 416))
    return bytes(answer.content) if answer.status_code == 206 else None


def range_of(start: int, size: int) -> dict[str, str]:
    """The header that asks for a part."""
    return {"Range": f"bytes={start}-{start + size - 1}"}


def version_of(answer: Any) -> str:
    """What tells one state of a file from another, as far as the server says."""
    return str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")


def total_of(answer: Any) -> int | None:
    """Bytes of the whole file of which the answer is a part, if the server says."""
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def ask(
    url: str, headers: dict[str, str], size: int | None = None, allowed: tuple[int, ...] = ()
) -> Any:
    """The server's answer, asked again for where it is busy or gone for a moment.

    An answer to a request for a part must have `size` bytes. Raises DataError.
    """
    until = time.monotonic() + PATIENCE
    waits = chain(WAITS, repeat(WAITS[-1]))
    while True:
        try:
            return attempt(url, headers, size, allowed)
        except TryAgainError as error:
            if time.monotonic() > until:
                raise DataError(
                    f"{host_of(url)} {error}, but the images lie there: try again when it does."
                ) from None
            time.sleep(next(waits))


def attempt(url: str, headers: dict[str, str], size: int | None, allowed: tuple[int, ...]) -> Any:
    """One request. Raises TryAgainError, and DataError where another one would not help."""
    errors = library().exceptions
    try:
        # a compressed answer would have other bytes than the part that was asked for
        asked = {"Accept-Encoding": "identity"} | headers
        with session().get(url, headers=asked, timeout=TIMEOUT, stream=True) as answer:
            status = answer.status_code
            if status in allowed:
                return answer
            if status == 206 and size in (None, len(answer.content)):
                return answer
    except (errors.SSLError, errors.ProxyError) as error:
        kind = "certificate" if isinstance(error, errors.SSLError) else "proxy"
        raise DataError(f"{host_of(url)} can't be reached: the {kind} is refused.") from None
    except (errors.ConnectionError, errors.Timeout, errors.ChunkedEncodingError):
        raise TryAgainError("can't be reached") from None
    except (errors.RequestException, ValueError) as error:
        raise DataError(f"{shown(url)} can't be read ({type(error).__name__}).") from None
    if status in BUSY:
        raise TryAgainError(f"answers {status}")
    if status == 206:
        raise TryAgainError("sent a part of another size")
    if status == 200:
        raise DataError(
            f"{host_of(url)} sends whole files only, no parts: copy the shards here first."
        )
    raise DataError(f"{shown(url)} can't be read: {host_of(url)} answers {status}.")


def host_of(url: str) -> str:
    """The server's name."""
    return urlsplit(url).hostname or "the server"


def library() -> Any:
    """The `requests` library. Raises MissingExtraError."""
    try:
        return importlib.import_module("requests")
    except ImportError:
        raise MissingExtraError("requests", "remote", "A data set on a server") from None


@cache
def session() -> Any:
    """Connections that are kept open, for all threads that read. Raises MissingExtraError."""
    made = library().Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, library().adapters.HTTPAdapter(pool_maxsize=4 * READERS))
    return made


class RemoteReader(io.RawIOBase):
    """A remote file as an open one that can be read from any place."""

    def __init__(self, file: RemoteFile) -> None:
        super().__init__()
        self._file, self._place = file, 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """From any place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is asked of the server."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._file.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or less at the end. Raises DataError."""
        content = read_part(self._file, self._place, len(buffer))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
