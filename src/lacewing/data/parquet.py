"""Parquet files with images, as the `datasets` library writes them, copied into tar shards.

Parquet compresses rows in groups, so a single image can't be read without its neighbours. Its
images are therefore copied once, as they are, into tar shards (see shards.py) in the cache;
after that a batch of any order is read by offset.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lacewing.data.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    column_of,
    image_bytes,
    label_text,
    no_column,
)
from lacewing.data.copies import Progress, Row, Source, copy_place, fill
from lacewing.data.listing import SPLIT_WORDS
from lacewing.data.shards import split_of
from lacewing.errors import DataError
from lacewing.parsing import parse_json

ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Part:
    """One parquet file, and its columns of images and labels, as far as it has them."""

    file: Path
    columns: tuple[str, ...]
    rows: int
    image: str | None
    label: str | None
    names: tuple[str, ...]
    """Of the classes that are numbers."""


def parquet_files(folder: Path) -> list[Path]:
    """The parquet files in a folder and in its `data`, as the hub lays them out.

    Where there are none, those of its splits or of a configuration: `train/*.parquet`,
    `default/train-*.parquet`, `default/train/*.parquet`.
    """
    near = sorted((*folder.glob("*.parquet"), *folder.glob("data/*.parquet")))
    patterns = "[!.]*/*.parquet", *(f"[!.]*/{word}/*.parquet" for word in SPLIT_WORDS)
    return near or sorted(file for pattern in patterns for file in folder.glob(pattern))


def check_configurations(files: list[Path], folder: Path) -> None:
    """Raise DataError for files in several folders, unless these are splits.

    Configurations of a data set are often the same images in another form.
    """
    places = {file.relative_to(folder).parts[0] for file in files if file.parent != folder}
    others = sorted(place for place in places - {"data"} if place.lower() not in SPLIT_WORDS)
    if len(others) > 1:
        raise DataError(
            f"{folder} has parquet files in the folders {', '.join(others)}: name one of them, or "
            "move the files of those that belong together into one."
        )


def are_photos(files: list[Path]) -> bool:
    """Whether parquet files hold images and labels, or something else that lies there."""
    try:
        parts = map(part_of, files)
        return any(part.image is not None and part.label is not None for part in parts)
    except DataError:
        return True  # `read_parquet` says what is wrong


def shards_of_parquet(folder: Path, cache: Path, progress: Progress | None = None) -> Path:
    """The folder of shards made of a folder's parquet files. Raises DataError."""
    files = parquet_files(folder)
    check_configurations(files, folder)
    states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    source = folder.resolve()
    target = copy_place(cache, source.name, str(source), states)
    return fill(target, lambda: read_parquet(files, folder), progress)


def part_of(file: Path) -> Part:
    """What a file holds, by its schema. Raises DataError."""
    try:
        with pq.ParquetFile(file) as opened:
            schema, rows = opened.schema_arrow, opened.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise unreadable(file, error) from None
    image, label = (column_of(wanted, schema.names) for wanted in (IMAGE_COLUMNS, LABEL_COLUMNS))
    names = () if label is None else names_of(schema, label)
    return Part(file, tuple(schema.names), rows, image, label, names)


def names_of(schema: pa.Schema, label: str) -> tuple[str, ...]:
    """The classes' names by number, as Hugging Face's library leaves them; () if it did not."""
    try:
        described = parse_json((schema.metadata or {}).get(b"huggingface", b"{}"))
        return tuple(map(str, described["info"]["features"][label]["names"]))
    except (ValueError, KeyError, TypeError):
        return ()


def read_parquet(files: list[Path], folder: Path) -> Source:
    """The rows of those files that hold images. Raises DataError if none does, or none is labelled.

    Each file has columns of its own: some may have no labels, as those of a hidden test split.
    """
    every = [part_of(file) for file in files]
    parts = [part for part in every if part.image is not None]
    if not parts:
        raise no_column(IMAGE_COLUMNS, every[0].columns, str(folder))
    if all(part.label is None for part in parts):
        raise no_column(LABEL_COLUMNS, parts[0].columns, str(folder))
    names = next((part.names for part in parts if part.names), ())
    rows = (row for part in parts for row in read_part(part, folder, names))
    others = [part.file.name for part in every if part.image is None]
    return Source(rows, sum(part.rows for part in parts), names, passed_over(others))


def read_part(part: Part, folder: Path, names: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a file that holds images. Raises DataError."""
    split = split_of(part.file.relative_to(folder))
    columns = [name for name in (part.image, part.label) if name is not None]
    read = partial(read_file, table=part.file)
    try:
        with pq.ParquetFile(part.file) as opened:
            for batch in opened.iter_batches(ROWS_AT_ONCE, columns=columns):
                for row in batch.to_pylist():
                    image = image_bytes(row[part.image], str(part.file), read)
                    yield Row(split, image, label_text(row.get(part.label), names))
    except (OSError, pa.ArrowException) as error:
        raise unreadable(part.file, error) from None


def read_file(path: str, table: Path) -> bytes:
    """An image's file that a table names. Raises DataError."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(
            f"The parquet file {table} names the image {Path(path).absolute()}, which can't be "
            f"read ({getattr(error, 'strerror', None) or error}): put it there, or leave its row "
            "out."
        ) from None


def unreadable(file: Path, error: Exception) -> DataError:
    """That a file is none, damaged or gone."""
    return DataError(f"The parquet file {file} can't be read ({str(error)[:120]}): get it again.")


def passed_over(names: list[str]) -> tuple[str, ...]:
    """A sentence on files without images, if there are any."""
    if not names:
        return ()
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (f"{', '.join(names[:3])}{more}: no column of images, passed over.",)
