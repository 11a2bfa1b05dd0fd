"""Data sets of the Hugging Face hub: streamed through the `datasets` library into tar shards.

Nothing but the shards (see copies.py) takes space.
"""

import contextlib
import importlib
from collections.abc import Iterator
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


def shards_of_hub(name: str, cache: Path, progress: Progress | None = None) -> Path:
    """The folder of shards made of `hub:owner/name`. Raises DataError, MissingExtraError."""
    plain = name.removeprefix(PREFIX).strip("/ ")
    target = copy_place(cache, plain, PREFIX + plain, None)
    return fill(target, lambda: read_hub(plain), progress)


def read_hub(name: str) -> Source:
    """The rows of a data set on the hub, streamed. Raises DataError if it can't be reached."""
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise MissingExtraError("datasets", "hub", "A data set from the hub") from None
    with hub_errors(name):
        splits = datasets.load_dataset(name, streaming=True)
    features = next(iter(splits.values())).features
    if features is None:
        raise DataError(
            f"The data set {name} does not say what its columns hold, so it can't be streamed: "
            "download it, and name its folder."
        )
    image, label = (column_of(wanted, features) for wanted in (IMAGE_COLUMNS, LABEL_COLUMNS))
    if image is None:
        raise no_column(IMAGE_COLUMNS, features, name)
    if label is None:
        raise no_column(LABEL_COLUMNS, features, name)
    sizes = [getattr(part.info, "splits", None) or {} for part in splits.values()]
    count = sum(one.num_examples or 0 for one in sizes[0].values())
    names = tuple(getattr(features[label], "names", None) or ())

    def rows() -> Iterator[Row]:
        with hub_errors(name):
            for word, part in splits.items():
                split = split_of(Path(word))
                for row in part.cast_column(image, datasets.Image(decode=False)):
                    content = image_bytes(row[image], name, read_there)
                    yield Row(split, content, label_text(row[label], names))

    return Source(rows(), count, names)


@contextlib.contextmanager
def hub_errors(name: str) -> Iterator[None]:
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
