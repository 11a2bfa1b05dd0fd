"""Tar shards on a server: their images are read from there, and nothing is copied to the disk.

A small file `NAME.tar.url` stands in the cache for each shard: its address, size and version.
Wherever a shard's path may stand, a stand-in may lie in its place (see `member.py`), so a remote
data set is shuffled, resumed and checked as a local one is.
"""

import importlib
import io
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lacewing.errors import DataError, MissingExtraError
from lacewing.parsing import parse_json
from lacewing.store.atomic import write_text

ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
SHARD = re.compile(r"https?://[^\s?]+\.tar(\?\S*)?", re.IGNORECASE)
BRACES = re.compile(r"\{([^{}]+)\}")
NUMBERS = re.compile(r"(\d+)\.\.(\d+)")
MAX_SHARDS = 100_000
SUFFIX = ".url"
BLOCK_BYTES = 2**18
"""What is read at once while a shard's list of members is made."""
WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt."""
TIMEOUT = (10, 60)
"""Seconds for a connection, and between two parts of an answer."""
BUSY = (408, 429, 500, 502, 503, 504)
"""Answers after which another attempt may do better."""
READERS = 16
"""Threads that read at once while the images are first looked at: they wait most of the time."""
MOST_READERS = 64


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server, as it was when it was first asked for."""

    url: str
    size: int
    """Bytes."""
    version: str
    """Its ETag, or the time of its last change; empty where the server tells neither."""


def is_address(data: str) -> bool:
    """Whether the words after `--data` are an address on a server."""
    return ADDRESS.fullmatch(data.strip()) is not None


def expanded(address: str) -> list[str]:
    """`a-{train,val}-{00..02}.tar` as the six addresses it stands for. Raises DataError."""
    found = BRACES.search(address)
    if found is None:
        return [address]
    before, after = address[: found.start()], expanded(address[found.end() :])
    choices = list(chosen(found[1]))
    if len(choices) * len(after) > MAX_SHARDS:
        raise DataError(f"{address} stands for more than {MAX_SHARDS:,} shards: name fewer.")
    return [before + choice + rest for choice in choices for rest in after]


def chosen(inside: str) -> Iterator[str]:
    """What stands in braces: words between commas, or numbers from one to another."""
    numbers = NUMBERS.fullmatch(inside)
    if numbers is None:
        yield from inside.split(",")
        return
    first, last = int(numbers[1]), int(numbers[2])
    count = itertools.islice(range(first, last + 1), MAX_SHARDS + 1)
    yield from (f"{number:0{len(numbers[1])}}" for number in count)


def stand_ins(address: str, cache_dir: Path) -> Path:
    """A folder in the cache with a stand-in for each shard, and the server's classes.txt.

    Raises DataError where the address is not one of shards, where one is not there, and where the
    cache can't be written; MissingExtraError.
    """
    urls = expanded(address.strip())
    wrong = next((url for url in urls if not SHARD.fullmatch(url)), None)
    if wrong is not None:
        raise DataError(
            f"{wrong} is no tar shard: a data set on a server must be addresses that end in .tar, "
            "like https://host/pests-train-{000..011}.tar; all else is to be copied here first."
        )
    key = blake2b(address.encode(), digest_size=6).hexdigest()
    folder = cache_dir / "remote" / f"{urlsplit(urls[0]).hostname}-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, url in zip(names_of(urls), urls, strict=True):
            put(folder / f"{name}{SUFFIX}", json.dumps(asdict(described(url)), indent=2))
        names = classes_beside(urls[0])
        if names is not None:
            put(folder / "classes.txt", names)
    except OSError as error:
        raise DataError(
            f"Nothing can be written into {folder} ({error.strerror or error}): set LACEWING_CACHE "
            "to a folder where something can."
        ) from None
    return folder


def names_of(urls: list[str]) -> list[str]:
    """A name for each shard: its file's, with the folders before it where two are called alike."""
    paths = [urlsplit(url).path.strip("/") for url in urls]
    names = [path.rpartition("/")[2] for path in paths]
    return names if len(set(names)) == len(names) else [p.replace("/", "--") for p in paths]


def remote_name(address: str) -> str:
    """What to call a data set by its address: `.../pests-{train,val}-{00..11}.tar` -> `pests`."""
    last = urlsplit(BRACES.sub("", address.strip())).path.rpartition("/")[2]
    return re.sub(r"[-_.]+$", "", last.removesuffix(".tar")) or "data"


def put(file: Path, text: str) -> None:
    """Write a file, but leave one that says the same as it is: its time tells of changes."""
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)


def described(url: str) -> RemoteFile:
    """Size and version of a file, by reading its first byte. Raises DataError."""
    try:
        answer = ask(url, 0, 1)
    except OSError as error:
        raise DataError(f"The shard {url} can't be read: {error}.") from None
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    if not total.isdigit():
        raise DataError(f"The server does not tell the size of {url}: copy the shards here.")
    return RemoteFile(url, int(total), version_of(answer))


def version_of(answer: Any) -> str:
    """What tells one state of a file from another, as far as the server says."""
    return str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")


def classes_beside(url: str) -> str | None:
    """The classes.txt in the folder of a shard; None if there is none."""
    address = urlsplit(url)
    folder = address.path.rpartition("/")[0]
    try:
        answer = session().get(
            address._replace(path=f"{folder}/classes.txt").geturl(), timeout=TIMEOUT
        )
    except OSError:
        return None
    return str(answer.text) if answer.status_code == 200 else None


def read_part(file: RemoteFile, start: int, size: int) -> bytes:
    """`size` bytes from `start` on, fewer at the end. Raises OSError, also for a changed file."""
    size = min(size, file.size - start)
    if size <= 0:
        return b""
    answer = ask(file.url, start, size)
    if version_of(answer) != file.version:
        raise OSError(f"{file.url} has changed on the server")
    return bytes(answer.content)


def ask(url: str, start: int, size: int) -> Any:
    """The server's answer to a request for a part of a file. Raises OSError with one sentence."""
    for wait in (*WAITS, None):
        try:
            return attempt(url, start, size)
        except TryAgainError as error:
            if wait is None:
                raise OSError(str(error)) from None
            time.sleep(wait)
    raise AssertionError("unreachable")


class TryAgainError(Exception):
    """A request that failed and may go well the next time."""


def attempt(url: str, start: int, size: int) -> Any:
    """One request. Raises TryAgainError, and OSError where another one would not help."""
    requests = library()
    asked = {"Range": f"bytes={start}-{start + size - 1}", "Accept-Encoding": "identity"}
    try:
        with session().get(url, headers=asked, timeout=TIMEOUT, stream=True) as answer:
            status = answer.status_code
            if status == 206 and len(answer.content) == size:
                return answer
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
        raise TryAgainError(f"{urlsplit(url).hostname} can't be reached") from None
    except requests.RequestException as error:
        raise OSError(f"{type(error).__name__} for {url}") from None
    if status == 206:
        raise TryAgainError(f"{urlsplit(url).hostname} sent a part of another size")
    if status in BUSY:
        raise TryAgainError(f"{urlsplit(url).hostname} answers {status}")
    if status == 200:
        raise OSError("the server sends whole files only, no parts: copy the shards here")
    raise OSError(f"{urlsplit(url).hostname} answers {status}")


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
        made.mount(scheme, library().adapters.HTTPAdapter(pool_maxsize=MOST_READERS))
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
        """Fill the buffer, or less at the end. Raises OSError."""
        content = read_part(self._file, self._place, len(buffer))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)


def stand_in_of(archive: Path) -> Path:
    """Where a shard's stand-in would lie."""
    return archive.with_name(archive.name + SUFFIX)


def load_stand_in(file: Path) -> RemoteFile:
    """What a stand-in stands for. Raises OSError, also if it is damaged."""
    try:
        fields = parse_json(file.read_text(encoding="utf-8"))
        return RemoteFile(str(fields["url"]), int(fields["size"]), str(fields["version"]))
    except (ValueError, KeyError, TypeError):
        raise OSError(f"{file} is damaged: remove it") from None


def open_remote(archive: Path, at_once: int = BLOCK_BYTES) -> io.BufferedReader:
    """The remote file that a stand-in is for. Raises OSError, FileNotFoundError if there is none.

    `at_once` is how many bytes are asked of the server for a small read.
    """
    remote = load_stand_in(stand_in_of(archive))
    return io.BufferedReader(RemoteReader(remote), at_once)
