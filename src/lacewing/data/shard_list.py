"""What is in each shard, kept in the cache: it is read through for that only once."""

import contextlib
import json
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from lacewing.data.cache import cache_folder
from lacewing.data.remote.stand_in import list_beside, remote_shard
from lacewing.parsing import parse_json
from lacewing.store.atomic import write_text


class ShardImage(NamedTuple):
    """An image in a shard, with its class."""

    start: int
    """Where its bytes begin."""
    size: int
    """Bytes."""
    name: str
    label: str


def listed(archive: Path, make: Callable[[], list[ShardImage]]) -> list[ShardImage]:
    """The images of a shard in its present state; made where they are not kept, and kept."""
    try:
        file, state = place_of_list(archive)
    except OSError:
        return make()  # which says what is wrong
    found = read_list(file, state)
    if found is None:
        found = make()
        with contextlib.suppress(OSError):  # a cache that can't be written is done without
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps({"state": state, "images": found}))
    return found


def place_of_list(archive: Path) -> tuple[Path, list[int]]:
    """Where the list of a shard lies, and the state that it must be of. Raises OSError.

    That of a shard on a server lies beside its stand-in, whose folder is named by the states.
    """
    if not archive.exists() and remote_shard(archive) is not None:
        return list_beside(archive), []
    state = archive.stat()
    key = blake2b(str(archive.resolve()).encode("utf-8", "surrogateescape"), digest_size=12)
    file = cache_folder() / "lists" / f"{key.hexdigest()}.json"
    return file, [state.st_size, state.st_mtime_ns]


def read_list(file: Path, state: list[int]) -> list[ShardImage] | None:
    """The images that a list names; None if there is none, or none of this state."""
    try:
        content = parse_json(file.read_bytes())
        if content["state"] != state:
            return None
        return [ShardImage(*row) for row in content["images"]]
    except (OSError, ValueError, TypeError, KeyError):  # damaged: reading the shard mends it
        return None
