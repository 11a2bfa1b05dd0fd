"""What stands in a trained model's file beside its tensors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from lacewing.data.preprocess import Preprocessing
from lacewing.errors import RunError, WeightsError
from lacewing.parsing import parse_json

KEY = "lacewing"
"""Of the file's metadata; its value is JSON."""
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A trained network as it was saved."""

    path: Path
    model: str
    """Name, for `find_model`."""
    classes: tuple[str, ...]
    class_ids: tuple[int | str, ...]
    """What the data set calls the classes, in the same order."""
    dropout: float
    preprocessing: Preprocessing
    figures: dict[str, Any]
    """How good it was when saved."""
    none_below: float | None
    """Confidence below which the picture may show none of the classes; None: not known."""
    state: dict[str, Tensor]
    """Weights on the CPU; empty where only the fields were read."""
    mirror: bool = False
    """Whether the mean with the mirror image's logits is its answer; the weights are of one pass.
    Files from before there was a choice say nothing of it."""


def fields_in(file: Path) -> dict[str, Any] | None:
    """The fields in a file's metadata; None if it is no bundle. Raises WeightsError if damaged."""
    if file.suffix != ".safetensors":
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            record = (opened.metadata() or {}).get(KEY)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{file} can't be read ({error}): it is damaged, or was cut off while it was copied."
        ) from error
    return None if record is None else parsed(file, record)


def parsed(file: Path, record: str) -> dict[str, Any]:
    """The fields in a record's text. Raises WeightsError for anything else."""
    try:
        fields = parse_json(record)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise WeightsError(f"What {file} says of its model is damaged: copy the file anew.")
    return fields


def parse_bundle(file: Path, fields: dict[str, Any]) -> Bundle:
    """A bundle's fields, checked. Raises RunError."""
    if fields.get("version") != VERSION:
        raise RunError(
            f"{file} has version {fields.get('version')} of the model file, and this lacewing "
            f"reads {VERSION}: use the release that saved it."
        )
    try:
        return Bundle(
            path=file,
            model=fields["model"],
            classes=tuple(fields["classes"]),
            class_ids=tuple(fields["class_ids"]),
            dropout=fields["dropout"],
            preprocessing=Preprocessing.from_dict(fields["preprocessing"]),
            figures=fields["figures"],
            none_below=fields.get("none_below"),
            state={},
            mirror=bool(fields.get("mirror", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} lacks a field that every model file has: {error}.") from error
