"""Data sets of the Hugging Face hub: streamed through the `datasets` library into tar shards.

Nothing but the shards (see copies.py) takes space.
"""

import contextlib
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacewing.data.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    column_of,
    image_bytes,
    label_text,
    no_column,
)
from lacewing.data.copies import Progress, Row, Source, copy_place, fill
from lacewing.data.shards import split_of
from lacewing.errors import DataError, LacewingError, MissingExtraError
from lacewing.values import first_line

PREFIX = "hub:"


@dataclass(frozen=True)
class HubName:
    """A data set on the hub, as `owner/name:configuration@revision` says it."""

    repository: str
    config: str | None = None
    """Which of its parts or versions, where it has several."""
    revision: str | None = None
    """A branch, a tag or a commit; None is the newest."""

    def __str__(self) -> str:
        config = f":{self.config}" if self.config else ""
        return self.repository + config + (f"@{self.revision}" if self.revision else "")

    @property
    def short(self) -> str:
        """What to call the data set in a run's name."""
        last = self.repository.rpartition("/")[2]
        return re.sub(r"[^\w.-]+", "-", f"{last}-{self.config}" if self.config else last)


def hub_name(data: str) -> HubName:
    """What `hub:owner/name:configuration@revision` names; the last two may be left out."""
    plain, _, revision = data.removeprefix(PREFIX).partition("@")
    repository, _, config = plain.partition(":")
    return HubName(repository.strip("/ "), config.strip() or None, revision.strip() or None)


def shards_of_hub(name: HubName, cache: Path, progress: Progress | None = None) -> Path:
    """The folder of shards made of a data set. Raises DataError, MissingExtraError."""
    target = copy_place(cache, str(name), f"{PREFIX}{name}", None)
    return fill(target, lambda: read_hub(name), progress)


def read_hub(name: HubName) -> Source:
    """The rows of a data set on the hub, streamed. Raises DataError if it can't be reached."""
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise MissingExtraError("datasets", "hub", "A data set from the hub") from None
    with hub_errors(name):
        splits = opened(name, datasets)
    features = next(iter(splits.values())).features
    if features is None:
        raise DataError(
            f"The data set {name} does not say what its columns hold, so it can't be streamed: "
            "download it, and name its folder."
        )
    image, label = (column_of(wanted, features) for wanted in (IMAGE_COLUMNS, LABEL_COLUMNS))
    if image is None:
        raise no_column(IMAGE_COLUMNS, features, str(name))
    if label is None:
        raise no_column(LABEL_COLUMNS, features, str(name))
    sizes = [getattr(part.info, "splits", None) or {} for part in splits.values()]
    count = sum(one.num_examples or 0 for one in sizes[0].values())
    names = tuple(getattr(features[label], "names", None) or ())

    def rows() -> Iterator[Row]:
        with hub_errors(name):
            for word, part in splits.items():
                split = split_of(Path(word))
                for row in part.cast_column(image, datasets.Image(decode=False)):
                    content = image_bytes(row[image], str(name), read_there)
                    yield Row(split, content, label_text(row[label], names))

    return Source(rows(), count, names)


def opened(name: HubName, datasets: Any) -> Any:
    """The splits of a data set, by name, as the library streams them. Raises what it raises, and
    DataError where the data set has several configurations and none of them is named."""
    try:
        return datasets.load_dataset(
            name.repository, name.config, revision=name.revision, streaming=True
        )
    except ValueError:
        there = datasets.get_dataset_config_names(name.repository, revision=name.revision)
        if name.config in there or (name.config is None and len(there) < 2):
            raise
        one = HubName(name.repository, there[0], name.revision)
        missing = f"no configuration {name.config}" if name.config else "several configurations"
        raise DataError(
            f"The data set {name.repository} has {missing}: name one of {', '.join(there)}, for "
            f"example {PREFIX}{one}."
        ) from None


@contextlib.contextmanager
def hub_errors(name: HubName) -> Iterator[None]:
    """Turn whatever goes wrong while the hub is read into a DataError."""
    try:
        yield
    except LacewingError:
        raise
    except Exception as error:  # the library raises its own, requests' and OS errors
        reason = first_line(error)
        raise DataError(f"The data set {name} can't be read from the hub: {reason}") from None


def read_there(path: str) -> bytes:
    """A file that lies by itself in a data set: of folders of images only the place is streamed."""
    opened: Any = importlib.import_module("datasets.utils.file_utils").xopen(path, "rb")
    with opened as file:
        return bytes(file.read())
