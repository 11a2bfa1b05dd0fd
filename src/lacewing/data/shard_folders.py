"""Classes and splits of images without a label in tar shards, by the folders in there."""

from collections.abc import Collection
from pathlib import PurePosixPath

from lacewing.data.listing import SPLIT_WORDS, Entry, class_of_paths
from lacewing.data.member import as_member

Parts = tuple[str, ...]


def in_folders(entries: list[Entry]) -> list[Entry]:
    """The entries; those without a class get the one that their folders say, if they lie in one.

    The folders of all shards are seen together, as those of files are: `rice/healthy/1.jpg`.
    Around them there may be others that all of them lie in, and those of splits, which say the
    split where the shard's own name says none.
    """
    inside = {entry.path: _parts(entry.path) for entry in entries if not entry.key}
    splits: dict[str, str] = {}
    while _are_wrapped(inside.values()):
        for path, parts in inside.items():
            if parts[0].lower() in SPLIT_WORDS:
                splits[path] = SPLIT_WORDS[parts[0].lower()]
        inside = {path: parts[1:] or parts for path, parts in inside.items()}
    names = {path: "/".join(parts) for path, parts in inside.items() if len(parts) > 1}
    classes = class_of_paths(list(names.values()))
    return [
        Entry(entry.path, classes[names[entry.path]], entry.split or splits.get(entry.path))
        if entry.path in names
        else entry
        for entry in entries
    ]


def _are_wrapped(names: Collection[Parts]) -> bool:
    """Whether the first folders are no classes: those of splits, or one with folders only."""
    firsts = {parts[0] for parts in names if len(parts) > 1}
    if {first.lower() for first in firsts} <= SPLIT_WORDS.keys():
        return any(len(parts) > 2 for parts in names)
    return len(firsts) == 1 and all(len(parts) != 2 for parts in names)


def _parts(path: str) -> Parts:
    member = as_member(path)
    assert member is not None, path
    return PurePosixPath(member.name).parts
