"""Stand-ins: small files in the cache, each in the place of a shard on a server.

Their folder is named by the addresses, sizes and versions of its shards, and is never written
differently: a run goes on with the shards that it began with, whatever is on the server now.
They are obeyed in the cache only, so that no data set from a stranger can make lacewing ask a
server for something.
"""

import io
import json
from dataclasses import asdict
from functools import cache
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from lacewing.data.cache import cache_folder
from lacewing.data.remote.address import file_names, shards_at, shown
from lacewing.data.remote.server import (
    BLOCK_BYTES,
    RemoteFile,
    RemoteReader,
    at_once,
    described,
    host_of,
    library,
    read_small,
)
from lacewing.errors import DataError
from lacewing.parsing import parse_json
from lacewing.store.atomic import replacing, write_text

SUFFIX = ".remote.json"
LIST_SUFFIX = ".members.json"
CLASSES = "classes.txt"


def remote_folder() -> Path:
    """Where all stand-ins lie; without links, as an index names its images."""
    return cache_folder().resolve() / "remote"


def stand_ins(address: str) -> Path:
    """The folder with a stand-in for each shard of an address, and the server's classes.txt.

    Raises DataError where the address is not one of shards, where one is not there, and where the
    cache can't be written; MissingExtraError.
    """
    library()
    urls = shards_at(address)
    files = at_once(described, urls)
    classes = classes_beside(urls[0])
    known = [(shown(file.url), file.size, file.version) for file in files]
    key = blake2b(repr((known, classes)).encode(), digest_size=10).hexdigest()
    folder = remote_folder() / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, file in zip(file_names(urls), files, strict=True):
            put(folder / f"{name}{SUFFIX}", file)
        if classes is not None and not (folder / CLASSES).exists():
            with replacing(folder / CLASSES) as temporary:
                temporary.write_bytes(classes)
    except OSError as error:
        raise DataError(
            f"Nothing can be written into {folder} ({error.strerror or error}): set LACEWING_CACHE "
            "to a folder where something can."
        ) from None
    remote_shard.cache_clear()  # an address may have a new signature
    return folder


def classes_beside(url: str) -> bytes | None:
    """The classes.txt in the folder of a shard; None if there is none. Raises DataError."""
    parts = urlsplit(url)
    folder = parts.path.rpartition("/")[0]
    content = read_small(parts._replace(path=f"{folder}/{CLASSES}").geturl())
    # some servers answer every question with a page
    return None if content is None or content.lstrip().startswith(b"<") else content


def put(file: Path, remote: RemoteFile) -> None:
    """Write a stand-in, but leave one that says the same: others may be reading it."""
    if not file.exists() or read_stand_in(file) != remote:
        write_text(file, json.dumps(asdict(remote), indent=2))


def read_stand_in(file: Path) -> RemoteFile | None:
    """What a stand-in stands for; None if it is damaged. Raises OSError."""
    try:
        fields = parse_json(file.read_bytes())
        return RemoteFile(str(fields["url"]), int(fields["size"]), str(fields["version"]))
    except (ValueError, KeyError, TypeError):
        return None


def stand_in_of(archive: Path) -> Path:
    """Where a shard's stand-in would lie."""
    return archive.with_name(archive.name + SUFFIX)


def list_beside(archive: Path) -> Path:
    """Where the list of a remote shard's images lies."""
    return archive.with_name(archive.name + LIST_SUFFIX)


def find_stand_ins(folder: Path) -> list[Path]:
    """The places of shards on a server in a folder; none outside of the cache."""
    if folder.resolve().parent != remote_folder():
        return []
    return [file.with_name(file.name.removesuffix(SUFFIX)) for file in folder.glob(f"*{SUFFIX}")]


@cache
def remote_shard(archive: Path) -> RemoteFile | None:
    """The file on a server in whose place a path stands; None for other paths.

    It is remembered, so what a run began with stays, even if the cache is cleared meanwhile.
    """
    if archive.parent.resolve().parent != remote_folder():
        return None
    try:
        return read_stand_in(stand_in_of(archive))
    except OSError:
        return None


def open_remote(file: RemoteFile) -> io.BufferedReader:
    """A remote file, open for reading; its reads raise DataError."""
    return io.BufferedReader(RemoteReader(file), BLOCK_BYTES)


def describe_place(folder: Path) -> str:
    """A sentence on where the images of a folder of stand-ins are. Raises DataError."""
    files = [remote_shard(shard) for shard in find_stand_ins(folder)]
    there = [file for file in files if file is not None]
    if not there:
        raise DataError(f"{folder} was cleared meanwhile: run the command again.")
    gigabytes = sum(file.size for file in there) / 1e9
    shards = "one shard" if len(there) == 1 else f"{len(there)} shards"
    return (
        f"The images stay on {host_of(there[0].url)}: {shards} of {gigabytes:.3g} GB in all, read "
        "in parts."
    )
