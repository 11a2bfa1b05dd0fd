"""Predictions from paths on the command line, and on their way to the screen or a file."""

import csv
import glob
import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lacewing.data.listing import find_images
from lacewing.deploy.prediction import Prediction
from lacewing.errors import ConfigError, DataError
from lacewing.store.atomic import replacing, write_text

FORMATS = (".csv", ".json", ".parquet")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
NONE_OF_THESE = "none of these"
PARQUET = pa.schema(
    [
        ("path", pa.string()),
        ("class", pa.string()),
        ("confidence", pa.float32()),
        ("none_of_these", pa.bool_()),
        ("top", pa.list_(pa.struct([("class", pa.string()), ("probability", pa.float32())]))),
        ("error", pa.string()),
    ]
)


def expand(paths: Sequence[str]) -> list[Path]:
    """The image files that paths, folders and patterns name, each once, in their order.

    Raises DataError for a path that is not there, for an address, and where no image is found
    at all.
    """
    found = [file for text in paths for place in _places(text) for file in _files(place)]
    if not found:
        raise DataError(f"There is no image in {', '.join(paths)}.")
    return list(dict.fromkeys(found))


def _places(text: str) -> list[Path]:
    """What a path is, or what a pattern fits; a file's name may itself look like a pattern."""
    if ADDRESS.match(text):
        raise DataError(
            f"{text} is an address, and lacewing fetches no images from a network: download it "
            "first, then name the file."
        )
    path = Path(text).expanduser()
    try:
        if path.exists():
            return [path]
    except OSError as error:
        raise DataError(f"{text[:200]!r} can't be reached: {error.strerror}.") from None
    if not glob.has_magic(text):
        raise DataError(f"There is no file or folder {text}.")
    # unlike Path.glob, it passes over hidden files, as a shell does
    return sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return [place / name for name in find_images(place).images]
    return [place]


def check_format(file: Path) -> None:
    """Raise ConfigError for a file whose suffix is of no format that `write_output` knows."""
    if file.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out must end in one of {', '.join(FORMATS)}, but it was {file}.")


def write_output(file: Path, predictions: Sequence[Prediction]) -> None:
    """Write every prediction as CSV, JSON or Parquet, by the file's suffix."""
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        with replacing(file) as temporary:
            pq.write_table(parquet_table(predictions), temporary)
        return
    write_text(file, json_text(predictions) if suffix == ".json" else csv_text(predictions))


def plain(one: Prediction) -> dict[str, Any]:
    """One prediction as plain values; class and confidence are None beside an error."""
    return {
        "path": str(one.path),
        "class": one.classes[0] if one.classes else None,
        "confidence": one.probabilities[0] if one.probabilities else None,
        "none_of_these": one.none_of_these if one.classes else None,
        "top": [
            {"class": name, "probability": probability}
            for name, probability in zip(one.classes, one.probabilities, strict=True)
        ],
        "error": one.error,
    }


def parquet_table(predictions: Iterable[Prediction]) -> pa.Table:
    """A row per image: the fields of `plain`, with a type each."""
    rows = [plain(one) for one in predictions]
    for row in rows:  # a name that is no UTF-8 has lone surrogates, which Arrow refuses
        row["path"] = row["path"].encode("utf-8", "backslashreplace").decode()
    return pa.Table.from_pylist(rows, schema=PARQUET)


def json_text(predictions: Iterable[Prediction]) -> str:
    """A list of objects with the fields of `plain`."""
    return json.dumps([plain(one) for one in predictions], indent=2, ensure_ascii=False) + "\n"


def csv_text(predictions: Sequence[Prediction]) -> str:
    """Columns path, class, confidence, class_2, confidence_2, ..., none_of_these, error."""
    ranks = max((len(one.classes) for one in predictions), default=0)
    columns = ["path", "class", "confidence"]
    columns += [name for k in range(2, ranks + 1) for name in (f"class_{k}", f"confidence_{k}")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "none_of_these", "error"])
    for one in predictions:
        cells = [
            cell
            for name, probability in zip(one.classes, one.probabilities, strict=True)
            for cell in (name, f"{probability:.6f}")
        ]
        cells += [""] * (len(columns) - 1 - len(cells))
        doubt = str(one.none_of_these).lower() if one.classes else ""
        writer.writerow([str(one.path), *cells, doubt, one.error or ""])
    return text.getvalue()


def table_rows(predictions: Iterable[Prediction]) -> list[tuple[str, str, str, str]]:
    """File, class, confidence, and the next two classes; the error; or that it is a doubt."""
    return [_table_row(one) for one in predictions]


def _table_row(one: Prediction) -> tuple[str, str, str, str]:
    if one.error is not None:
        return str(one.path), f"error: {one.error}", "", ""
    if one.none_of_these:
        return str(one.path), NONE_OF_THESE, "", _ranks(one, 0, 3)
    return str(one.path), one.classes[0], f"{one.probabilities[0]:.1%}", _ranks(one, 1, 3)


def _ranks(one: Prediction, first: int, end: int) -> str:
    """The classes of some ranks with their probabilities."""
    named = zip(one.classes[first:end], one.probabilities[first:end], strict=True)
    return ", ".join(f"{name} {probability:.1%}" for name, probability in named)
