"""Runs that are to be compared: their answers on the test images, matched by content."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacewing.data.index import ImageIndex
from lacewing.errors import DataError, RunError
from lacewing.results.pieces import Pieces, read_pieces
from lacewing.store.run import Run, open_run

Answers = dict[str, tuple[str, str]]
"""Of each test image, by its content: its true class, and the one that the run named."""


@dataclass(frozen=True)
class Contestant:
    """One run with its answers."""

    folder: Path
    pieces: Pieces
    answers: Answers


@dataclass(frozen=True)
class Matched:
    """Answers of several runs on the same images, as numbers of the classes."""

    classes: tuple[str, ...]
    labels: np.ndarray
    """int64 [n]."""
    answers: np.ndarray
    """int64 [runs, n]."""


def read_contestant(folder: Path) -> Contestant:
    """Read a run. Raises RunError for one that has not answered on test images."""
    run = open_run(folder)
    pieces = read_pieces(run)
    if not run.predictions.is_file() or "test" not in pieces.results.get("splits", {}):
        raise RunError(
            f"{folder} was not judged on test images: `lacewing evaluate {folder}` does that."
        )
    return Contestant(folder, pieces, read_answers(run))


def read_answers(run: Run) -> Answers:
    """The answers of predictions.csv, by the content hashes of the run's image index.

    Of files with one content the first is `hash`, the next `hash 2`: they are matched in turn.
    """
    contents = content_of_paths(run)
    seen: dict[str, int] = defaultdict(int)
    answers: Answers = {}
    with run.predictions.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            content = contents.get(row["path"])
            if content is None:
                raise RunError(
                    f"{run.predictions} names {row['path']}, which is no test image of the run: "
                    f"`lacewing evaluate {run.folder}` writes it anew."
                )
            seen[content] += 1
            key = content if seen[content] == 1 else f"{content} {seen[content]}"
            answers[key] = row["true"], row["predicted"]
    return answers


def content_of_paths(run: Run) -> dict[str, str]:
    """The content hash of each test image of a run. Raises RunError."""
    try:
        tested = ImageIndex.load(run.index).split("test")
    except DataError as error:
        raise RunError(f"{run.folder} can't be compared. {error}") from None
    names = (printed(path) for path in tested.table.column("path").to_pylist())
    return dict(zip(names, tested.table.column("hash").to_pylist(), strict=True))


def printed(path: str) -> str:
    """A path as predictions.csv has it."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def match(contestants: Sequence[Contestant]) -> Matched:
    """Line the answers up. Raises RunError where the test images or their classes differ."""
    first, *others = contestants
    for other in others:
        check_same_images(first, other)
    names = {name for one in contestants for pair in one.answers.values() for name in pair}
    classes = tuple(sorted(names))
    number = {name: place for place, name in enumerate(classes)}
    keys = list(first.answers)
    return Matched(
        classes,
        np.array([number[first.answers[key][0]] for key in keys], np.int64),
        np.array([[number[one.answers[key][1]] for key in keys] for one in contestants], np.int64),
    )


def check_same_images(first: Contestant, other: Contestant) -> None:
    """Raise RunError unless both runs were judged on the same images of the same classes."""
    missing = len(first.answers.keys() - other.answers.keys())
    more = len(other.answers.keys() - first.answers.keys())
    if missing or more:
        raise RunError(
            f"{other.folder} was judged on other test images than {first.folder}: of its "
            f"{len(other.answers):,} images {more:,} are not among the first run's "
            f"{len(first.answers):,}, and {missing:,} of those lack. Train both with the same "
            "test split (the same --data, --seed and --test-share)."
        )
    named = sum(first.answers[key][0] != truth for key, (truth, _) in other.answers.items())
    if named:
        raise RunError(
            f"{other.folder} has {named:,} of the test images in another class than "
            f"{first.folder}: compare runs whose labels are the same."
        )
