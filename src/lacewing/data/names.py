"""From the keys of classes to their order, their ids and their names."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from lacewing.data.copies import is_whole
from lacewing.data.text import read_lines
from lacewing.errors import DataError

CLASSES_FILES = ("classes.txt", "class.txt", "labels.txt")
IP102_CLASSES = 102
NUMBER = re.compile(r"[0-9]{1,9}")
ID_THEN_NAME = re.compile(r"([0-9]{1,9})[-_. ]+(\S.*)")


@dataclass(frozen=True)
class Classes:
    """Classes in the order of their labels: the key, the id (if it has one) and the name."""

    keys: tuple[str, ...]
    ids: tuple[str, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def order_classes(keys: Collection[str], names: Mapping[str, str]) -> Classes:
    """The classes with these keys.

    Keys that are numbers are sorted as numbers, not as text (0, 1, 10, 100, 2 ...), and stay
    as ids; so does the number of keys like `12-rice-leafhopper`. A name that two ids share
    gets its id in brackets.
    """
    if are_numbers(keys):
        ordered = sorted(keys, key=lambda key: (int(key), key))
        shown = tuple(names.get(str(int(key)), key) for key in ordered)
        unnamed = tuple(_unnamed(ordered, names))
        return _distinct(tuple(ordered), tuple(ordered), shown, unnamed)
    parts = {key: ID_THEN_NAME.fullmatch(key) for key in keys}
    numbers = {int(part[1]) for part in parts.values() if part}
    if keys and len(numbers) == len(parts):
        split = {key: (part[1], part[2]) for key, part in parts.items() if part}
        by_number = sorted(keys, key=lambda key: int(split[key][0]))
        ids = tuple(split[key][0] for key in by_number)
        return _distinct(tuple(by_number), ids, tuple(split[key][1] for key in by_number))
    natural = tuple(sorted(keys, key=natural_order))
    return Classes(natural, (), natural)


def are_numbers(keys: Collection[str]) -> bool:
    """Whether there are keys and all of them are whole numbers."""
    return bool(keys) and all(NUMBER.fullmatch(key) for key in keys)


def natural_order(text: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sorting key: digits by their value, letters whatever their case."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", text)
    ranked = [(0, int(p), "") if p[0] in "0123456789" else (1, 0, p.casefold()) for p in parts]
    return ranked, text


def _unnamed(keys: list[str], names: Mapping[str, str]) -> list[str]:
    missing = [key for key in keys if str(int(key)) not in names]
    if not names or not missing:
        return []
    return [f"The list of classes has no name for {', '.join(missing[:5])}; the number stands."]


def _distinct(
    keys: tuple[str, ...], ids: tuple[str, ...], names: tuple[str, ...], notes: tuple[str, ...] = ()
) -> Classes:
    times = Counter(names)
    shown = tuple(
        f"{name} ({number})" if times[name] > 1 else name
        for number, name in zip(ids, names, strict=True)
    )
    twice = [name for name, count in times.items() if count > 1]
    if twice:
        notes += (
            f"More than one class is called {', '.join(map(repr, twice))}; their ids stand in "
            "brackets behind the name.",
        )
    return Classes(keys, ids, shown, notes)


def find_names(folder: Path, keys: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Names for numeric keys from a classes.txt in `folder` or one level up, with notes.

    ({}, ()) where there is none, or where the keys are no numbers.
    """
    if not are_numbers(keys):
        return {}, ()
    for place in (folder, folder.parent):
        for name in CLASSES_FILES:
            if (place / name).is_file():
                return names_by_key(place / name, {int(key) for key in keys})
    return {}, (
        "The classes have numbers and no names; a classes.txt beside them, with lines like "
        "`1 rice leaf roller`, would name them.",
    )


def names_by_key(file: Path, keys: Collection[int]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The names in a classes.txt by key, and notes.

    Lines are `1  rice leaf roller`, or names alone, which count from 0. IP102's file counts
    from 1 and its lists from 0: read as they stand, every name would be off by one. Of a copy that
    lacewing has made, numbers and names are known to be those of the table.
    """
    numbered = read_classes(file)
    first, last = min(numbered), max(numbered)
    shift = 0
    notes: tuple[str, ...] = ()
    if first == 1 and 0 in keys:
        shift = -1
        notes = (f"{file.name} counts from 1 and the labels from 0: names were matched so.",)
    elif first == 1 and last not in keys and len(numbered) == IP102_CLASSES:
        shift = -1
        notes = (
            f"{file.name} counts from 1; the labels were taken to count from 0, as in IP102's "
            "release, though neither 0 nor 102 occurs among them.",
        )
    elif first == 0 and 0 not in keys and last + 1 in keys:
        shift = 1
        notes = (f"{file.name} counts from 0 and the labels from 1: names were matched so.",)
    elif first == 0 and 0 not in keys and not is_whole(file.parent):
        notes = (
            f"{file.name} counts from 0 and no image has the label 0: if the labels count from 1, "
            f"every class has the next one's name, and lines like `1 {numbered[0]}` mend it.",
        )
    return {str(number + shift): name for number, name in numbered.items()}, notes


def read_classes(file: Path) -> dict[int, str]:
    """Number and name of each line. Raises DataError naming the line that can't be read."""
    lines = [(n, line.strip()) for n, line in enumerate(read_lines(file), 1) if line.strip()]
    if not lines:
        raise DataError(f"{file} is empty: it must hold one class a line.")
    matches = [re.match(r"^([0-9]{1,9})(?:[\s,;:.]+)(\S.*)$", line) for _, line in lines]
    if not all(matches):
        return {position: line for position, (_, line) in enumerate(lines)}
    numbered: dict[int, str] = {}
    for (line_number, _), match in zip(lines, matches, strict=True):
        assert match is not None
        if int(match[1]) in numbered:
            raise DataError(f"{file}, line {line_number}: the number {match[1]} stands twice.")
        numbered[int(match[1])] = match[2]
    return numbered
