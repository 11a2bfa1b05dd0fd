"""The commands that use a model, look something up, or draw the sample."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from lacewing import console
from lacewing.commands.command import Command, check_target
from lacewing.config import Short
from lacewing.errors import DataError
from lacewing.fields import boolean, number, one_of, path, text, whole
from lacewing.flags import Given, Word, flags_of, options_from
from lacewing.values import format_seconds

if TYPE_CHECKING:
    from lacewing.deploy.prediction import Prediction

SHOWN = 20
"""Predictions that the screen shows; the rest only go to a file."""


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What `predict` takes."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """A run folder, a model.safetensors, a shared folder or .zip, or hub:OWNER/NAME."""
    paths: Annotated[list[str], text(metavar="PATH"), Word(many=True)]
    """Images, folders of images, or patterns like "field/*.jpg"."""
    out: Annotated[Path | None, path(metavar="FILE", optional=True), Short("-o")] = None
    """Write every prediction into this .csv, .json or .parquet file."""
    top_k: Annotated[int, whole(at_least=1)] = 5
    """Classes to name for each image, the most probable first."""
    none_below: Annotated[float | None, number(at_least=0, at_most=1, optional=True)] = None
    """Say "none of these" where the best class has less than this; by default what 95 % of the
    right answers on the validation images reach, 0 never says it."""
    device: Annotated[str | None, text(metavar="DEVICE", optional=True), Short("-dv")] = None
    """auto, cpu, cuda, cuda:1, mps, xpu or directml."""


@dataclass(frozen=True, kw_only=True)
class ModelsOptions:
    """What `models` takes."""

    pattern: Annotated[str | None, text(metavar="PATTERN", optional=True), Word()] = None
    """Show the networks whose name contains this, or fits it ("resnet*"), timm's too."""
    json: Annotated[bool, boolean()] = False
    """Print JSON."""


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """What `doctor` takes."""

    json: Annotated[bool, boolean()] = False
    """Print the machine as JSON."""


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What `sample` takes."""

    folder: Annotated[Path, path(metavar="FOLDER"), Word()]
    """Where to draw the data set: a new or an empty folder."""
    classes: Annotated[int, whole(at_least=2)] = 8
    """Species."""
    images_per_class: Annotated[int | None, whole(at_least=3, optional=True)] = None
    """Images of each species, over all splits; with --long-tail of the commonest."""
    long_tail: Annotated[bool, boolean()] = False
    """Let the species grow rarer and rarer, as in IP102."""
    layout: Annotated[str, one_of("folders", "ip102")] = "folders"
    """A folder per split and class, or lists beside one folder as in IP102."""
    seed: Annotated[int, whole()] = 0
    """The same seed draws the same images."""


def predict(given: Given) -> int:
    """Name the classes of images."""
    options = options_from(PredictOptions, given)
    from lacewing.deploy.output import check_format, expand, table_rows, write_output
    from lacewing.deploy.place import check_place

    if options.out is not None:
        check_format(options.out)
        check_target(options.out)
    files = expand(options.paths)
    check_place(options.run)
    from lacewing.deploy.predict import load_predictor  # slow: it imports torch

    predictor = load_predictor(options.run, options.device)
    if options.none_below is not None:
        predictor = replace(predictor, none_below=options.none_below)
    started = time.perf_counter()
    with console.progress("predicting") as update:
        predictions = predictor.predict(files, top_k=options.top_k, progress=update)
    seconds = time.perf_counter() - started
    console.table(("file", "class", "confidence", "next"), table_rows(predictions[:SHOWN]))
    if options.out is not None:
        write_output(options.out, predictions)
        console.say(f"{len(predictions):,} predictions are in {options.out}.")
    elif len(predictions) > SHOWN:
        console.note(f"{len(predictions) - SHOWN:,} more; -o FILE.csv writes all of them.")
    failed = sum(one.error is not None for one in predictions)
    console.say(said_of(predictions, failed, seconds, predictor.none_below))
    if failed:
        console.warn(f"{failed:,} of {len(predictions):,} files could not be read.")
    return 1 if failed == len(predictions) else 0


def said_of(
    predictions: Sequence["Prediction"], failed: int, seconds: float, none_below: float
) -> str:
    """How fast it went, and how many images may show none of the classes."""
    named = len(predictions) - failed
    speed = f"{named:,} images in {format_seconds(seconds)}: {named / seconds:,.0f} images/s"
    doubtful = sum(one.none_of_these for one in predictions)
    doubt = f"{doubtful:,} may show none of the classes: none reaches {none_below:.0%}."
    return f"{speed}. {doubt}" if doubtful else f"{speed}."


def models(given: Given) -> int:
    """List networks."""
    options = options_from(ModelsOptions, given)
    from lacewing.models.catalog import list_models

    rows = list_models(options.pattern)
    if options.json:
        console.as_json([asdict(row) for row in rows])
        return 0
    if not rows:
        console.say(f"No network is called like {options.pattern!r}.")
        return 0
    table = [(row.name, row.architecture, in_words(row.parameters), row.weights) for row in rows]
    console.table(("name", "architecture", "parameters", "weights"), table)
    return 0


def in_words(parameters: int | None) -> str:
    """`25557032` -> `"25.6 M"`."""
    return "-" if parameters is None else f"{parameters / 1e6:.1f} M"


def doctor(given: Given) -> int:
    """Show the machine."""
    options = options_from(DoctorOptions, given)
    from lacewing.hardware.describe import machine_rows, verdict
    from lacewing.hardware.inspect import inspect

    machine = inspect()
    if options.json:
        console.as_json(asdict(machine))
        return 0
    console.pairs(machine_rows(machine))
    console.say(verdict(machine))
    return 0


def sample(given: Given) -> int:
    """Draw the sample."""
    options = options_from(SampleOptions, given)
    folder = options.folder
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(f"{folder} is there already and not an empty folder: name a new one.")
    from lacewing.data.sample import draw_sample

    count = options.images_per_class
    more = {} if count is None else {"images_per_class": count}
    with console.progress("drawing") as update:
        draw_sample(
            folder,
            classes=options.classes,
            long_tail=options.long_tail,
            layout=options.layout,
            seed=options.seed,
            progress=update,
            **more,
        )
    console.say(f"The sample is in {folder}: `lacewing train --data {folder}` trains on it.")
    return 0


COMMANDS = {
    "predict": Command("Name the classes of images with a trained model.",
                       lambda: flags_of(PredictOptions), predict),
    "models": Command("List the networks, and whether their weights are at hand.",
                      lambda: flags_of(ModelsOptions), models, together=True),
    "doctor": Command("Show this machine and what it is good for.",
                      lambda: flags_of(DoctorOptions), doctor, together=True),
    "sample": Command("Draw a data set of stylised insects on leaves.",
                      lambda: flags_of(SampleOptions), sample, without_torch=True),
}  # fmt: skip
