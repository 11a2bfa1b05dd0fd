"""From a listing and a scan to an ImageIndex."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from lacewing.data.index import SCHEMA, SPLITS, Excluded, ImageIndex
from lacewing.data.listing import Entry, Listing
from lacewing.data.names import Classes, order_classes
from lacewing.data.scan import Scan
from lacewing.errors import DataError
from lacewing.values import counted

KEPT_FIRST = ("test", "val", "train", None)
"""Of a picture in several splits, the split that it is kept in comes first."""
AGAIN = "named a second time"
OTHERWISE = f"{AGAIN} with another class or split"


def once(entries: list[Entry]) -> tuple[list[Entry], tuple[Excluded, ...]]:
    """The entries by path, each path once, and what was named a second time.

    Of several namings the one in the split that judges last is kept, and of those in one split
    the first: a given test split is not shrunk.
    """
    first: dict[str, Entry] = {}
    repeated = []
    for entry in sorted(entries, key=lambda entry: KEPT_FIRST.index(entry.split)):
        kept = first.setdefault(entry.path, entry)
        if kept is not entry:
            same = kept.key == entry.key and kept.split == entry.split
            repeated.append(Excluded(printable(entry.path), AGAIN if same else OTHERWISE))
    return [first[path] for path in sorted(first)], tuple(repeated)


def build_index(
    listing: Listing,
    entries: list[Entry],
    repeated: tuple[Excluded, ...],
    scanned: Scan,
    name: str,
) -> ImageIndex:
    """The index of the readable images; a row without a split has None in that column."""
    readable = [entries[row] for row in scanned.rows.tolist()]
    broken = tuple(
        Excluded(printable(entries[row].path), reason) for row, reason in scanned.reasons.items()
    )
    keys = {entry.key for entry in readable}
    classes = order_classes(keys, listing.names)
    lost = sorted({entry.key for entry in entries} - keys)
    notes = listing.notes + classes.notes + scanned.notes
    if lost:
        notes += (
            f"No image of {', '.join(map(printable, lost[:5]))} is readable: left out as a class.",
        )
    return ImageIndex(
        root=listing.root.resolve(),
        table=_table(readable, scanned.table, classes),
        classes=classes.names,
        name=name,
        layout=listing.layout,
        class_ids=classes.ids,
        excluded=repeated + broken,
        notes=notes
        + outside_note(listing.root, entries)
        + _otherwise_note(repeated)
        + _count_note(broken),
    )


def outside_note(root: Path, entries: list[Entry]) -> tuple[str, ...]:
    """What to say of images that a list names outside the data set's folder.

    They are used: a list may lie apart from its images. But somebody else's list could name
    any picture of this machine, and the report shows pictures.
    """
    outside = [entry.path for entry in entries if leads_out(entry.path)]
    if not outside:
        return ()
    return (
        f"{len(outside)} of the images lie outside {root}, the first one is "
        f"{printable(outside[0])}: make sure that they are meant.",
    )


def leads_out(path: str) -> bool:
    """Whether a path of a list is absolute or climbs out of the folder it counts from."""
    if os.path.isabs(path):  # noqa: PTH117 (a Path takes ten times as long)
        return True
    depth = 0
    for part in path.split("/") if ".." in path else ():  # millions of paths have none
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return False


def printable(path: str) -> str:
    """A path as text that can be printed, whatever bytes its name is made of."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def check_index(index: ImageIndex) -> None:
    """Raise DataError for a data set that nothing can be trained on."""
    if not len(index):
        reasons = Counter(excluded.reason for excluded in index.excluded)
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
        raise DataError(f"{index.root} holds no readable image" + (f" ({why})." if why else "."))
    if len(index.classes) < 2:
        raise DataError(
            f"{index.root} holds one class only, {index.classes[0]!r}: "
            "training needs images of at least two."
        )
    splits = set(index.table.column("split").unique().to_pylist())
    if not splits & {"train", None}:
        raise DataError(f"{index.root} has no training images, only {', '.join(sorted(splits))}.")


def split_notes(index: ImageIndex) -> ImageIndex:
    """The index with a note on classes that can't be learnt, and on splits that are empty."""
    counts = {split: index.counts(split) for split in SPLITS}
    unseen = (counts["train"] == 0) & (counts["val"] + counts["test"] > 0)
    notes: list[str] = []
    if unseen.any():
        names = [name for name, is_unseen in zip(index.classes, unseen, strict=True) if is_unseen]
        have = "classes have" if len(names) > 1 else "class has"
        notes.append(
            f"{len(names)} {have} no training image and can't be learnt: {', '.join(names[:5])}."
        )
    notes += [f"The {split} split is empty." for split in SPLITS if not counts[split].any()]
    return replace(index, notes=index.notes + tuple(notes))


def _table(readable: list[Entry], known: pa.Table, classes: Classes) -> pa.Table:
    labels = {key: label for label, key in enumerate(classes.keys)}
    columns = {
        "path": [entry.path for entry in readable],
        "label": [labels[entry.key] for entry in readable],
        "split": [entry.split for entry in readable],
        **{name: known[name] for name in known.column_names},
    }
    return pa.table(columns, schema=SCHEMA)


def _otherwise_note(repeated: tuple[Excluded, ...]) -> tuple[str, ...]:
    count = len({one.path for one in repeated if one.reason == OTHERWISE})
    if not count:
        return ()
    verb = "file is" if count == 1 else "files are"
    return (
        f"{count} {verb} {OTHERWISE}: the naming in test is kept before val, val before train, and "
        "the first in one split.",
    )


def _count_note(broken: tuple[Excluded, ...]) -> tuple[str, ...]:
    if not broken:
        return ()
    reasons = Counter(excluded.reason for excluded in broken).most_common(4)
    why = ", ".join(f"{count} {reason}" for reason, count in reasons)
    return (f"{counted(len(broken), 'file')} left out: {why}.",)
