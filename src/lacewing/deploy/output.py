"""Predictions from paths on the command line, and on their way to the screen or a file."""

import csv
import glob
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from lacewing.data.listing import find_images
from lacewing.deploy.prediction import Prediction
from lacewing.errors import ConfigError, DataError
from lacewing.store.atomic import write_text

FORMATS = (".csv", ".json")


def expand(paths: Sequence[str]) -> list[Path]:
    """The image files that paths, folders and patterns name, each once, in their order.

    Raises DataError for a path that is not there, and where no image is found at all.
    """
    found = [file for text in paths for place in _places(text) for file in _files(place)]
    if not found:
        raise DataError(f"There is no image in {', '.join(paths)}.")
    return list(dict.fromkeys(found))


def _places(text: str) -> list[Path]:
    """What a path is, or what a pattern fits; a file's name may itself look like a pattern."""
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
        raise ConfigError(f"--out must end in {' or '.join(FORMATS)}, but it was {file}.")


def write_output(file: Path, predictions: Sequence[Prediction]) -> None:
    """Write every prediction as CSV or JSON, by the file's suffix."""
    as_text = json_text if file.suffix.lower() == ".json" else csv_text
    write_text(file, as_text(predictions))


def json_text(predictions: Iterable[Prediction]) -> str:
    """A list of objects: path, class, confidence, top (class and probability), error."""
    rows = [
        {
            "path": str(one.path),
            "class": one.classes[0] if one.classes else None,
            "confidence": one.probabilities[0] if one.probabilities else None,
            "top": [
                {"class": name, "probability": probability}
                for name, probability in zip(one.classes, one.probabilities, strict=True)
            ],
            "error": one.error,
        }
        for one in predictions
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def csv_text(predictions: Sequence[Prediction]) -> str:
    """Columns path, class, confidence, class_2, confidence_2, ..., error."""
    ranks = max((len(one.classes) for one in predictions), default=0)
    columns = ["path", "class", "confidence"]
    columns += [name for k in range(2, ranks + 1) for name in (f"class_{k}", f"confidence_{k}")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "error"])
    for one in predictions:
        cells = [
            cell
            for name, probability in zip(one.classes, one.probabilities, strict=True)
            for cell in (name, f"{probability:.6f}")
        ]
        cells += [""] * (len(columns) - 1 - len(cells))
        writer.writerow([str(one.path), *cells, one.error or ""])
    return text.getvalue()


def table_rows(predictions: Iterable[Prediction]) -> list[tuple[str, str, str, str]]:
    """File, class, confidence, and the next two classes; or the error."""
    return [
        (str(one.path), f"error: {one.error}", "", "")
        if one.error is not None
        else (str(one.path), one.classes[0], f"{one.probabilities[0]:.1%}", _next(one))
        for one in predictions
    ]


def _next(one: Prediction) -> str:
    following = zip(one.classes[1:3], one.probabilities[1:3], strict=True)
    return ", ".join(f"{name} {probability:.1%}" for name, probability in following)
