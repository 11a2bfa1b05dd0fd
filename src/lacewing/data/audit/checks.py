"""The checks: each takes what was read and returns its findings."""

from collections import defaultdict

import numpy as np

from lacewing.data.audit.extensions import wrong_extensions
from lacewing.data.audit.findings import Finding
from lacewing.data.audit.read import Images
from lacewing.data.audit.same import contents_of, contested, pictures_of, rows_of
from lacewing.data.audit.twins import misspelt_twins
from lacewing.data.build import printable
from lacewing.data.index import ImageIndex
from lacewing.data.listing import Entry
from lacewing.data.scan import Progress

MIN_TRAINING = 10
"""A class with fewer training images is tiny."""
MAX_RATIO = 10
"""Of the commonest class to the rarest."""
MIN_SIDE = 64
"""Pixels of the shorter side."""
MAX_ASPECT = 3.0
NAMED = 8
"""Names that a sentence lists."""


def corrupt(index: ImageIndex) -> list[Finding]:
    """Files that can't be read, by reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for one in index.excluded:
        by_reason[one.reason].append(one.path)
    return [Finding("corrupt", f"{files(len(paths))} can't be read: {reason}.", tuple(paths))
            for reason, paths in sorted(by_reason.items())]  # fmt: skip


def repeated(images: Images) -> list[Finding]:
    """Files that lists or tables name more than once: in two splits, with two labels, or so."""
    found = []
    for path, named in sorted(images.repeated.items()):
        shown = (printable(path),)
        keys = sorted({entry.key for entry in named})
        splits = in_order({entry.split for entry in named})
        if len(keys) > 1:
            found.append(Finding("conflict", f"One file is named with {both(keys)}.", shown))
        if len(splits) > 1:
            found.append(Finding("leakage", f"One file is named in {both(splits)}.", shown))
        if len(keys) == len(splits) == 1:
            found.append(Finding("repeated", f"One file is named {len(named)} times.", shown))
    return found


def conflicting_names(named: dict[str, list[Entry]]) -> frozenset[str]:
    """Paths that are named with two labels."""
    return frozenset(path for path, times in named.items() if len({e.key for e in times}) > 1)


def same_picture(index: ImageIndex, groups: np.ndarray) -> list[Finding]:
    """Leakage, conflicts and duplicates among rows that share a group number, int64 [rows]."""
    paths, splits = (index.table.column(name).to_pylist() for name in ("path", "split"))
    named = [index.classes[label] for label in index.column("label").tolist()]
    told = list(zip(paths, named, splits, strict=True))
    contents = contents_of(index)
    disputed = contested(index, contents)
    found = []
    for rows in rows_of(np.where(disputed, contents, -1 - np.arange(len(index)))):
        found += _one_picture([told[row] for row in rows], equal=True)
    for rows in rows_of(pictures_of(index, groups, apart=disputed)):
        equal = len(set(contents[rows].tolist())) == 1
        found += _one_picture([told[row] for row in rows], equal)
    for rows in rows_of(groups):
        if len(set(contents[rows].tolist())) > 1:
            found += _near_conflict([told[row] for row in rows])
    return found


Told = tuple[str, str, str | None]
"""Path, class and split of an image."""


def _one_picture(images: list[Told], equal: bool) -> list[Finding]:
    """What is wrong with images that are equal, or near-identical and of one class."""
    shown = tuple(path for path, _, _ in images)
    classes = sorted({name for _, name, _ in images})
    places = in_order({split for _, _, split in images})
    count = f"{len(images):,} {'equal' if equal else 'near-identical'} files"
    found = []
    if len(places) > 1:
        found.append(Finding("leakage", f"{count} lie in {both(places)}.", shown))
    if len(classes) > 1:
        found.append(Finding("conflict", f"{count} are labelled {both(classes)}.", shown))
    if len(classes) == len(places) == 1:
        kind = "duplicate" if equal else "near-duplicate"
        found.append(Finding(kind, f"{count} show one picture of {classes[0]}.", shown))
    return found


def _near_conflict(images: list[Told]) -> list[Finding]:
    """What to look at in near-identical images, if they are of several classes."""
    classes = sorted({name for _, name, _ in images})
    if len(classes) == 1:
        return []
    sentence = f"{len(images):,} near-identical files are labelled {both(classes)}."
    return [Finding("near-conflict", sentence, tuple(path for path, _, _ in images))]


def uncompared(index: ImageIndex, clusters: list[np.ndarray]) -> list[Finding]:
    """Pictures that were too many, and too much alike, to be looked at: rows of each cluster."""
    paths, splits = (index.table.column(name).to_pylist() for name in ("path", "split"))
    found = []
    for rows in clusters:
        places = in_order({splits[row] for row in rows})
        where = f" in {both(places)}" if len(places) > 1 else ""
        sentence = (f"{len(rows):,} pictures{where} are too much alike to be compared: "
                    "only equal files were found.")  # fmt: skip
        found.append(Finding("uncompared", sentence, tuple(paths[row] for row in rows)))
    return found


def extensions(index: ImageIndex, threads: int, progress: Progress | None = None) -> list[Finding]:
    """Files whose content is of another format than their extension says."""
    by_format: dict[tuple[str, str], list[str]] = defaultdict(list)
    paths = index.table.column("path").to_pylist()
    formats = wrong_extensions(index.paths(), threads)
    for done, (path, found) in enumerate(zip(paths, formats, strict=True), 1):
        if found is not None:
            by_format[path[path.rindex(".") :].lower(), found].append(path)
        if progress is not None:
            progress(done, len(paths))
    return [
        Finding("extension", f"{files(len(p))} named {suffix}: in truth {found}.", tuple(p))
        for (suffix, found), p in sorted(by_format.items())
    ]


def balance(index: ImageIndex) -> list[Finding]:
    """The ratio of the commonest to the rarest class, and classes that are tiny."""
    splits = np.array([split or "train" for split in index.table.column("split").to_pylist()])
    labels = index.column("label")[splits == "train"]
    counts = np.bincount(labels, minlength=len(index.classes))
    found = []
    present = np.flatnonzero(counts)
    if len(present) > 1:
        least, most = present[counts[present].argmin()], counts.argmax()
        ratio = counts[most] / counts[least]
        if ratio >= MAX_RATIO:
            sentence = (f"{index.classes[most]} has {counts[most]:,} training images and "
                        f"{index.classes[least]} {counts[least]:,}: {ratio:.0f} to 1.")  # fmt: skip
            found.append(Finding("imbalance", sentence))
    tiny = [label for label in counts.argsort(kind="stable") if counts[label] < MIN_TRAINING]
    if tiny:
        named = listed([f"{index.classes[label]} ({counts[label]})" for label in tiny])
        verb = "class has" if len(tiny) == 1 else "classes have"
        sentence = f"{len(tiny)} {verb} under {MIN_TRAINING} training images: {named}."
        found.append(Finding("tiny-class", sentence))
    return found


def sizes(index: ImageIndex) -> list[Finding]:
    """Pictures that are very small, or much longer than wide."""
    paths = index.table.column("path").to_pylist()
    width, height = index.column("width"), index.column("height")
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    found = []
    for kind, odd, about in (
        ("small", shorter < MIN_SIDE, f"under {MIN_SIDE} pixels on the shorter side"),
        ("long", longer > MAX_ASPECT * shorter, f"over {MAX_ASPECT:g} times as long as wide"),
    ):
        rows = np.flatnonzero(odd)
        if len(rows):
            verb = "is" if len(rows) == 1 else "are"
            sentence = f"{files(len(rows))} {verb} {about}."
            found.append(Finding(kind, sentence, tuple(paths[row] for row in rows)))
    return found


def twin_classes(index: ImageIndex) -> list[Finding]:
    """Classes whose names may mean the same."""
    return [Finding("twin-classes", f"{first!r} and {second!r} may be one class.")
            for first, second in misspelt_twins(index.classes)]  # fmt: skip


def files(count: int) -> str:
    """`"1 file"`, `"2,000 files"`."""
    return f"{count:,} file" + ("" if count == 1 else "s")


def both(words: list[str]) -> str:
    """`"a and b"`, `"a, b and c"`; of many, a few."""
    if len(words) > NAMED:
        return listed(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def listed(words: list[str]) -> str:
    """Words with commas; of many, a few."""
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more


def in_order(splits: set[str | None]) -> list[str]:
    """Splits as they follow each other; None is said as "no split"."""
    return [split or "no split" for split in ("train", "val", "test", None) if split in splits]
