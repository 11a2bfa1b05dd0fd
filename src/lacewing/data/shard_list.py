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

VERSION = 2
"""A list of another one is made anew: what is taken for an image, or for its class, differs."""


class ShardImage(NamedTuple):
    """An image in a shard, with its class."""

    start: int
    """Where its bytes begin."""
    size: int
    """Bytes."""
    name: str
    label: str | None
    """None where nothing but its folder can say the class."""


class ShardList(NamedTuple):
    """The images of a shard, and what was passed over."""

    images: list[ShardImage]
    spare: int
    """Images of samples of which another image is taken."""
    imageless: int
    """Samples with a class and no image."""


def listed(archive: Path, make: Callable[[], ShardList]) -> ShardList:
    """The list of a shard in its present state; made where it is not kept, and kept."""
    try:
        file, state = place_of_list(archive)
    except OSError:
        return make()  # which says what is wrong
    found = read_list(file, state)
    if found is None:
        found = make()
        with contextlib.suppress(OSError):  # a cache that can't be written is done without
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps({"state": state, **found._asdict()}))
    return found


def place_of_list(archive: Path) -> tuple[Path, list[int]]:
    """Where the list of a shard lies, and the state that it must be of. Raises OSError.

    That of a shard on a server lies beside its stand-in, whose folder is named by the states.
    """
    if not archive.exists() and remote_shard(archive) is not None:
        return list_beside(archive), [VERSION]
    state = archive.stat()
    key = blake2b(str(archive.resolve()).encode("utf-8", "surrogateescape"), digest_size=12)
    file = cache_folder() / "lists" / f"{key.hexdigest()}.json"
    return file, [VERSION, state.st_size, state.st_mtime_ns]


def read_list(file: Path, state: list[int]) -> ShardList | None:
    """What a list says; None if there is none, or none of this state."""
    try:
        content = parse_json(file.read_bytes())
        if content["state"] != state:
            return None
        images = [ShardImage(*row) for row in content["images"]]
        return ShardList(images, int(content["spare"]), int(content["imageless"]))
    except (OSError, ValueError, TypeError, KeyError):  # damaged: reading the shard mends it
        return None
