"""Hugging Face data sets as tar shards: parquet files here, or a data set on the hub.

Parquet compresses rows in groups, so a single image can't be read without its neighbours. Its
images are therefore copied once, as they are, into tar shards (see shards.py) in the cache;
after that a batch of any order is read by offset. A hub data set is streamed through the
`datasets` library, so nothing but the shards takes space.
"""

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lacewing.data.shard_writer import ShardWriter
from lacewing.data.shards import split_of
from lacewing.errors import DataError, MissingExtraError
from lacewing.parsing import parse_json
from lacewing.store.made_once import made_once

Progress = Callable[[int, int], None]
PREFIX = "hub:"
DONE = ".lacewing-complete"
"""Written last; holds what is to be said of the images that were passed over."""
VERSION = 2
"""Of the copies: older ones are made anew."""
IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "png")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "cls", "target", "category")
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Row:
    """One image as its file's bytes, with its class, a number or a name."""

    split: str | None
    image: bytes
    label: str | None
    """None where the data set keeps it to itself."""


@dataclass(frozen=True)
class Source:
    """Rows to be copied, and what is known of them beforehand."""

    rows: Iterator[Row]
    count: int
    """Rows in all; 0 where nobody knows."""
    names: tuple[str, ...] = ()
    """Names of the classes that are numbers."""


def parquet_files(folder: Path) -> list[Path]:
    """The parquet files in a folder and in its `data`, as the hub lays them out."""
    return sorted((*folder.glob("*.parquet"), *folder.glob("data/*.parquet")))


def are_photos(files: list[Path]) -> bool:
    """Whether parquet files hold images and labels, or something else that lies there."""
    try:
        names = pq.read_schema(files[0]).names
    except (OSError, pa.ArrowException):
        return True  # `read_parquet` says what is wrong
    return any(n in names for n in IMAGE_COLUMNS) and any(n in names for n in LABEL_COLUMNS)


def shards_of_parquet(folder: Path, cache: Path, progress: Progress | None = None) -> Path:
    """The folder of shards made of a folder's parquet files. Raises DataError."""
    files = parquet_files(folder)
    states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    target = cache / "unpacked" / f"{folder.resolve().name}-{_key(states)}"
    return fill(target, lambda: read_parquet(files, folder), progress)


def shards_of_hub(name: str, cache: Path, progress: Progress | None = None) -> Path:
    """The folder of shards made of `hub:owner/name`. Raises DataError, MissingExtraError."""
    plain = name.removeprefix(PREFIX).strip("/ ")
    target = cache / "unpacked" / (re.sub(r"[^\w.-]+", "-", plain) + "-" + _key(plain))
    return fill(target, lambda: read_hub(plain), progress)


def fill(target: Path, open_source: Callable[[], Source], progress: Progress | None) -> Path:
    """Write a source's rows as shards into `target`, once. Raises DataError for a full disk."""
    if (target / DONE).exists():
        return target
    source = open_source()
    try:
        with made_once(target, lambda folder: (folder / DONE).exists()) as temporary:
            unlabelled = copy_rows(source, temporary, progress)
            if source.names:
                lines = "".join(f"{number} {name}\n" for number, name in enumerate(source.names))
                (temporary / "classes.txt").write_text(lines, encoding="utf-8")
            (temporary / DONE).write_text(said_of(unlabelled), encoding="utf-8")
    except pa.ArrowException as error:
        raise DataError(f"A parquet file is damaged ({str(error)[:120]}): get it again.") from None
    except OSError as error:
        raise DataError(
            f"The images can't be copied into {target}: {error.strerror or error}; set "
            "LACEWING_CACHE to a folder with room for them."
        ) from None
    return target


def copy_rows(source: Source, folder: Path, progress: Progress | None) -> int:
    """Write a source's rows as shards; how many were passed over, since they have no label."""
    unlabelled = 0
    with ShardWriter(folder) as writer:
        for done, row in enumerate(source.rows, 1):
            if row.label is None:
                unlabelled += 1
            else:
                writer.add(row.split, row.image, row.label)
            if progress is not None:
                progress(done, max(done, source.count))
    return unlabelled


def said_of(unlabelled: int) -> str:
    """A sentence on images without a label; "" if there are none."""
    if not unlabelled:
        return ""
    return f"{unlabelled} of the images have no label (a hidden test split?): passed over."


def names_of(schema: pa.Schema, label: str) -> tuple[str, ...]:
    """The classes' names by number, as Hugging Face's library leaves them; () if it did not."""
    try:
        described = parse_json((schema.metadata or {}).get(b"huggingface", b"{}"))
        return tuple(map(str, described["info"]["features"][label]["names"]))
    except (ValueError, KeyError, TypeError):
        return ()


def read_parquet(files: list[Path], folder: Path) -> Source:
    """The rows of parquet files that hold images. Raises DataError if they don't."""
    try:
        schema = pq.read_schema(files[0])
        count = sum(pq.read_metadata(file).num_rows for file in files)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"A parquet file in {folder} can't be read: {str(error)[:120]}.") from None
    image = _first(IMAGE_COLUMNS, schema.names, str(folder))
    label = _first(LABEL_COLUMNS, schema.names, str(folder))
    names = names_of(schema, label)

    def rows() -> Iterator[Row]:
        for file in files:
            split = split_of(file.relative_to(folder))
            for batch in pq.ParquetFile(file).iter_batches(ROWS_AT_ONCE, columns=[image, label]):
                for row in batch.to_pylist():
                    yield _row(split, row[image], row[label], str(file), names)

    return Source(rows(), count, names)


def read_hub(name: str) -> Source:
    """The rows of a data set on the hub, streamed. Raises DataError if it can't be reached."""
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise MissingExtraError("datasets", "hub", "A data set from the hub") from None
    try:
        splits = datasets.load_dataset(name, streaming=True)
    except Exception as error:  # the library raises its own, requests' and OS errors
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise DataError(f"The data set {name} can't be read from the hub: {reason}") from None
    features = next(iter(splits.values())).features
    image = _first(IMAGE_COLUMNS, features, name)
    label = _first(LABEL_COLUMNS, features, name)
    sizes = [getattr(part.info, "splits", None) or {} for part in splits.values()]
    count = sum(one.num_examples or 0 for one in sizes[0].values())
    names = tuple(getattr(features[label], "names", None) or ())

    def rows() -> Iterator[Row]:
        for word, part in splits.items():
            split = split_of(Path(word))
            for row in part.cast_column(image, datasets.Image(decode=False)):
                yield _row(split, row[image], row[label], name, names)

    return Source(rows(), count, names)


def _row(split: str | None, image: Any, label: Any, where: str, names: tuple[str, ...]) -> Row:
    content = image.get("bytes") if isinstance(image, dict) else image
    if content is None and isinstance(image, dict) and image.get("path"):
        content = Path(image["path"]).read_bytes()
    if not isinstance(content, bytes):
        raise DataError(f"{where} holds an image that is not a file's bytes: it can't be used.")
    return Row(split, content, None if is_missing(label, names) else str(label))


def is_missing(label: Any, names: tuple[str, ...]) -> bool:
    """Whether a label says that there is none: null, or the hub's -1 where classes have names."""
    return label is None or (bool(names) and isinstance(label, int) and label < 0)


def _first(wanted: tuple[str, ...], there: Any, where: str) -> str:
    found = next((name for name in wanted if name in there), None)
    if found is None:
        raise DataError(
            f"{where} has the columns {', '.join(there)}, but none called {' or '.join(wanted[:3])}"
            ": rename the column."
        )
    return found


def _key(value: object) -> str:
    return blake2b(repr((VERSION, value)).encode(), digest_size=6).hexdigest()
