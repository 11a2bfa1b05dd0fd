"""Which layout a data set has. A new one is one function and one line in LAYOUTS."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lacewing.data.csv_table import header_columns, read_csv, whole_rows
from lacewing.data.image_places import files_near, images_below, is_contradicted, place_of
from lacewing.data.listing import (
    SPLIT_WORDS,
    Entry,
    Listing,
    class_of_paths,
    find_images,
    passed_over,
    subfolders,
)
from lacewing.data.lists import find_lists, read_list, whole_lines
from lacewing.data.names import are_numbers, find_names
from lacewing.data.remote.server import at_once
from lacewing.data.remote.stand_in import find_stand_ins
from lacewing.data.shard_folders import in_folders
from lacewing.data.shards import Shard, find_shards, read_shard
from lacewing.errors import DataError
from lacewing.values import counted

WRAPPERS = (
    "ip102", "classification", "ip102_v1.1", "archive", "d0", "unzip_d0", "dataset", "data",
    "images",
)  # fmt: skip
"""Folders that only hold a data set, in lower case."""
MAX_DEPTH = 4

Recogniser = Callable[[Path, Path | None], Listing | None]
"""Takes a folder and the folder of the images, where the user names one; returns what the
folder holds, or None if it has another layout."""


def lists(folder: Path, images: Path | None) -> Listing | None:
    """`train.txt`, `val.txt`, `test.txt` with lines like `00002.jpg 0`; IP102's release."""
    files = find_lists(folder, ".txt")
    named = [entry for file in files.values() for entry in whole_lines(file)]
    root = place_of(next(iter(files.values())), images, named) if files else None
    if root is None:
        return None
    entries = [entry for split, file in files.items() for entry in read_list(file, split)]
    names, notes = find_names(folder, {entry.key for entry in entries})
    kind = f"lists of images ({', '.join(file.name for file in files.values())})"
    if root != folder:
        kind += f" with the images in {_relative(root, folder)}"
    return Listing(root, kind, entries, names, notes)


def table(folder: Path, images: Path | None) -> Listing | None:
    """A CSV whose header names the columns of paths and labels, or one such CSV per split."""
    files, by_split = tables_in(folder)
    if not files:
        return None
    if len(files) > 1 and not by_split:
        found = images_below(folder)
        if any(is_contradicted(found, whole_rows(file)) for file in files):
            raise DataError(_which_table(folder, files))
        return None
    chosen: dict[str | None, Path] = dict(by_split.items()) or {None: files[0]}
    first = next(iter(chosen.values()))
    try:
        entries = [entry for split, file in chosen.items() for entry in read_csv(file, split)]
    except DataError:
        whole = [entry for file in chosen.values() for entry in whole_rows(file)]
        if images is None and place_of(first, images, whole) is None:
            return None  # the table is about something else; the folders may say the classes
        raise
    root = place_of(first, images, entries)
    return _table_listing(list(chosen.values()), entries, root) if root else None


def tables_in(folder: Path) -> tuple[list[Path], dict[str, Path]]:
    """The CSVs in a folder whose header names the columns, and those of them called like splits."""
    files = [file for file in sorted(folder.glob("*.csv")) if header_columns(file)]
    lists = find_lists(folder, ".csv")
    return files, {split: file for split, file in lists.items() if file in files}


def csv_file(file: Path, images: Path | None) -> Listing:
    """The CSV that the user names. Raises DataError if its images are nowhere."""
    entries = read_csv(file)
    root = place_of(file, images, entries, files_near)
    if root is None:
        example = entries[0].path if entries else "(none)"
        raise DataError(
            f"{file} names images like {example!r}, but they are not in {images or file.parent}: "
            "say where they lie with --images FOLDER."
        )
    return _table_listing([file], entries, root)


def _table_listing(files: list[Path], entries: list[Entry], root: Path) -> Listing:
    names, notes = find_names(files[0].parent, {entry.key for entry in entries})
    splits = sorted({entry.split for entry in entries if entry.split}, key=_split_order)
    said = f"splits {', '.join(splits)}" if splits else "no splits"
    kind = f"table ({', '.join(file.name for file in files)}; {said})"
    return Listing(root, kind, entries, names, notes)


def split_folders(folder: Path, _images: Path | None) -> Listing | None:
    """`train`, `val|valid|validation`, `test`, each with a folder per class."""
    folders = subfolders(folder)
    splits = [sub for sub in folders if sub.name.lower() in SPLIT_WORDS]
    if not splits:
        return None
    inside: dict[str, list[str]] = {}
    notes = []
    others: Counter[str] = Counter()
    for sub in sorted(splits, key=lambda sub: _split_order(SPLIT_WORDS[sub.name.lower()])):
        found = find_images(sub)
        inside[sub.name] = [path for path in found.images if "/" in path]
        others += found.others
        if len(inside[sub.name]) < len(found.images):
            count = len(found.images) - len(inside[sub.name])
            notes.append(
                f"{count} images lie in {sub.name} itself, in no class's folder: passed over."
            )
    # a class is the same folder in every split, however deep its images lie there
    keys = class_of_paths([path for paths in inside.values() for path in paths])
    used = [name for name, paths in inside.items() if paths]
    entries = [
        Entry(f"{name}/{path}", keys[path], SPLIT_WORDS[name.lower()])
        for name, paths in inside.items()
        for path in paths
    ]
    if not any(entry.split == "train" for entry in entries):
        if entries and len(splits) == len(folders):
            raise DataError(
                f"{folder} has no training images, only {', '.join(used)}: put some into "
                f"{folder / 'train'}, in a folder per class, or name {folder / used[0]} to split "
                "its images anew."
            )
        return None
    names, name_notes = find_names(folder, {entry.key for entry in entries})
    kind = f"split folders ({', '.join(used)}) with {_kind_of(entries)}"
    notes += [*name_notes, *passed_over(others)]
    return Listing(folder, kind, entries, names, tuple(notes))


def class_folders(folder: Path, _images: Path | None) -> Listing | None:
    """A folder per class; no splits."""
    if len(subfolders(folder)) < 2:
        return None
    found = find_images(folder)
    inside = [path for path in found.images if "/" in path]
    keys = class_of_paths(inside)
    if len(set(keys.values())) < 2 or len({path.split("/")[0] for path in inside}) < 2:
        return None  # the classes lie deeper, below one folder
    entries = [Entry(path, keys[path]) for path in inside]
    names, notes = find_names(folder, set(keys.values()))
    if len(inside) < len(found.images):
        count = len(found.images) - len(inside)
        notes += (f"Beside the classes' folders, and passed over: {counted(count, 'image')}.",)
    notes += passed_over(found.others)
    return Listing(folder, _kind_of(entries), entries, names, notes)


def shards(folder: Path, _images: Path | None) -> Listing | None:
    """Tar files with images and their labels side by side (WebDataset); splits by their names."""
    files = find_shards(folder)
    read = partial(read_shard, root=folder)
    found = at_once(read, files) if find_stand_ins(folder) else list(map(read, files))
    listing = _shard_listing(folder, files, found)
    if len({entry.key for entry in listing.entries}) < 2:
        return None  # tar files of something else
    return listing


def shard_file(file: Path) -> Listing:
    """The one shard that the user names."""
    return _shard_listing(file.parent, [file], [read_shard(file, file.parent)])


def _shard_listing(folder: Path, files: list[Path], found: list[Shard]) -> Listing:
    read = in_folders([entry for shard in found for entry in shard.entries])
    entries = [entry for entry in read if entry.key]
    names, notes = find_names(folder, {entry.key for entry in entries})
    splits = sorted({entry.split for entry in entries if entry.split}, key=_split_order)
    said = f"splits {', '.join(splits)}" if splits else "no splits"
    kind = f"tar shards ({len(files)} files; {said})"
    over = (
        (len(read) - len(entries), "image", "without a class"),
        (sum(shard.spare for shard in found), "image", "beside another of the same name"),
        (sum(shard.imageless for shard in found), "label", "without an image"),
    )
    said = ", ".join(f"{counted(count, what)} {which}" for count, what, which in over if count)
    if said:
        notes += (f"Passed over in the shards: {said}.",)
    return Listing(folder, kind, entries, names, notes)


LAYOUTS: tuple[tuple[str, Recogniser], ...] = (
    ("lists", lists),
    ("table", table),
    ("split folders", split_folders),
    ("class folders", class_folders),
    ("shards", shards),
)
"""Every layout of a folder, the more telling ones first."""


def recognise(place: Path, images: Path | None = None) -> Listing:
    """What a data set's folder (or CSV, or shard) holds. Raises DataError if it fits no layout."""
    if place.is_file():
        return shard_file(place) if place.suffix == ".tar" else csv_file(place, images)
    folders = list(candidates(place))
    for _, recogniser in LAYOUTS:
        for folder in folders:
            listing = recogniser(folder, images)
            if listing is not None:
                return listing
    raise DataError(_no_layout(place, folders, images))


def candidates(folder: Path, depth: int = 0) -> Iterator[Path]:
    """The folder, and those in it that may be the data set proper."""
    yield folder
    if depth == MAX_DEPTH:
        return
    subs = subfolders(folder)
    wrappers = [sub for sub in subs if sub.name.lower() in WRAPPERS]
    if not wrappers and len(subs) == 1 and subs[0].name.lower() not in SPLIT_WORDS:
        wrappers = subs
    for sub in wrappers:
        yield from candidates(sub, depth + 1)


def _kind_of(entries: list[Entry]) -> str:
    keys = {entry.key for entry in entries}
    if are_numbers(keys):
        return f"numbered class folders ({len(keys)})"
    return f"class folders ({len(keys)}" + (", nested)" if any("/" in k for k in keys) else ")")


def _split_order(split: str) -> int:
    return ("train", "val", "test").index(split)


def _relative(root: Path, folder: Path) -> str:
    if root.is_relative_to(folder):
        return f"{root.relative_to(folder)}/"
    return str(root)


def _no_layout(place: Path, folders: list[Path], images: Path | None) -> str:
    listed = [file for folder in folders for file in find_lists(folder, ".txt").values()]
    if listed:
        where = images or f"{listed[0].parent} or an images folder in or beside it"
        return (
            f"{listed[0].parent} holds lists ({', '.join(file.name for file in listed)}), but the "
            f"images they name are not in {where}: say where they lie with --images FOLDER."
        )
    for folder in folders:
        tables, by_split = tables_in(folder)
        if len(tables) > 1 and not by_split:
            return _which_table(folder, tables)
        if tables:
            return (
                f"{place} holds the table {tables[0].name}, but the images it names are not in "
                f"{images or 'the same folder'}: say where they lie with --images FOLDER."
            )
    if not find_images(place).images:
        return f"There are no images in {place}."
    if images is None and len(subfolders(place)) == 1:
        return f"{place} holds images of one class only: training needs at least two folders."
    return (
        f"{place} holds images in no known layout: make a folder for each class (ants/, bees/), "
        "or train/, val/ and test/ with such folders in them, or a CSV with the columns path, "
        "label and split."
    )


def _which_table(folder: Path, tables: list[Path]) -> str:
    names = ", ".join(file.name for file in tables[:4]) + (", ..." if tables[4:] else "")
    return (
        f"{folder} holds {len(tables)} tables ({names}): name the one that is meant, for "
        f"example --data {tables[0]}."
    )
