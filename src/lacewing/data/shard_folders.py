"""Classes and splits of images without a label in tar shards, by the folders in there."""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from lacewing.data.listing import SPLIT_WORDS, Entry, class_of_paths
from lacewing.data.member import as_member
from lacewing.data.shards import split_of

Parts = tuple[str, ...]
Shards = dict[Path, dict[str, Parts]]
"""Of each shard the parts of its members' names, by their paths."""


def in_folders(entries: list[Entry]) -> list[Entry]:
    """The entries; those without a class get the one that their folders say, if they lie in one.

    The folders of all shards are seen together, as those of files are: `rice/healthy/1.jpg`.
    Around them there may be others (see `_wrapped`); they say the split where the shard's own
    name says none.
    """
    inside = _by_shard(entries)
    splits: dict[str, str | None] = {}
    while wrapped := _wrapped(inside):
        said = _splits_said({name for shard in wrapped for name in _firsts(inside[shard])})
        for shard in wrapped:
            for path, parts in inside[shard].items():
                splits[path] = said.get(parts[0]) or splits.get(path)
            inside[shard] = {path: parts[1:] or parts for path, parts in inside[shard].items()}
    places = [item for members in inside.values() for item in members.items()]
    names = {path: "/".join(parts) for path, parts in places if len(parts) > 1}
    classes = class_of_paths(list(names.values()))
    return [
        Entry(entry.path, classes[names[entry.path]], entry.split or splits.get(entry.path))
        if entry.path in names
        else entry
        for entry in entries
    ]


def _by_shard(entries: list[Entry]) -> Shards:
    inside: Shards = defaultdict(dict)
    for entry in entries:
        if not entry.key:
            member = as_member(entry.path)
            assert member is not None, entry.path
            inside[member.archive][entry.path] = PurePosixPath(member.name).parts
    return inside


def _wrapped(shards: Shards) -> list[Path]:
    """The shards whose first folders are no classes.

    Those of splits are none in whichever shard they are all: `val.tar` may have no folder around
    its classes where `train.tar` has one. Another folder is none only if each shard has just one
    and they are one thing: `rice/` in one shard and `maize/` in the next are parts of classes.
    """
    firsts = {shard: _firsts(members) for shard, members in shards.items()}
    of_splits = [
        shard
        for shard, names in firsts.items()
        if names and {name.lower() for name in names} <= SPLIT_WORDS.keys()
    ]
    if any(len(parts) > 2 for shard in of_splits for parts in shards[shard].values()):
        return of_splits
    places = [parts for members in shards.values() for parts in members.values()]
    if any(len(names) > 1 for names in firsts.values()) or any(len(parts) == 2 for parts in places):
        return []
    names = set().union(*firsts.values())
    below = {parts[1:-1] for parts in places if len(parts) > 1}
    return list(shards) if len(names) == 1 or (_are_alike(names) and len(below) > 1) else []


def _are_alike(names: set[str]) -> bool:
    """Whether names differ in numbers and words of splits only: `imgs_train-0` and `imgs_val-0`.

    Numbers alone may be those of classes.
    """
    words = [[word for word in re.split(r"[\W\d_]+", name.lower()) if word] for name in names]
    kinds = {tuple(word for word in said if word not in SPLIT_WORDS) for said in words}
    return all(words) and len(kinds) == 1


def _splits_said(names: set[str]) -> dict[str, str | None]:
    """The splits that first folders say; a word in the name that all have is a part of the name."""
    if len(names) == 1:
        return {name: SPLIT_WORDS.get(name.lower()) for name in names}
    return {name: split_of(Path(name)) for name in names}


def _firsts(members: dict[str, Parts]) -> set[str]:
    return {parts[0] for parts in members.values() if len(parts) > 1}
