"""Export a run: write, compare, and keep what stood the comparison."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from lacewing.deploy.export.compare import Comparison, compare, refusal
from lacewing.deploy.export.exporter import Exporter, Source
from lacewing.deploy.export.formats import EXPORTERS
from lacewing.deploy.export.graph import Deployable
from lacewing.deploy.export.pictures import checking_pictures, training_squares
from lacewing.deploy.export.sidecar import NAME, sidecar
from lacewing.deploy.find_model import model_file
from lacewing.deploy.predict import Predictor, load_predictor
from lacewing.deploy.share.licences import find_licence
from lacewing.errors import ConfigError, LacewingError
from lacewing.models.bundle import read_bundle_fields
from lacewing.store.run import Run, open_run, read_json, write_json
from lacewing.values import first_line, nearest


@dataclass(frozen=True)
class Exported:
    """Where an export lies, and how it compares with the original."""

    folder: Path
    file: Path
    """The model; model.json stands beside it."""
    comparison: Comparison


def export_run(
    run: Path, format: str, out: Path | None = None, licence: str | None = None
) -> Exported:
    """Write a run's model in a format of EXPORTERS, into RUN/exports/FORMAT or `out`.

    `licence` is one that the hub knows, for the model card of `hub`. The export is run on up to
    100 validation images and compared with the model. Raises LacewingError, and leaves nothing
    behind, where it gives other answers; ConfigError for the format, the folder or the licence;
    what `load_predictor` and the format's writer raise.
    """
    exporter = find_exporter(format)
    chosen = None if licence is None else licence_for(exporter, format, licence)
    opened = open_run(run)
    target = out or opened.exports / format
    check_folder(target)
    # of the file alone: an export's weights lie in the plain format, whatever the plan's
    predictor = load_predictor(model_file(run), "cpu")
    target.parent.mkdir(parents=True, exist_ok=True)
    # beside its final place, so that it takes that place by a rename
    place = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        comparison = write_and_compare(format, exporter, opened, predictor, place, chosen)
        take_place(place, target)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Exported(target, target / exporter.file, comparison)


def find_exporter(format: str) -> Exporter:
    """The exporter of a format. Raises ConfigError with the nearest names."""
    if format not in EXPORTERS:
        hint = nearest(format, list(EXPORTERS)) or f": use one of {', '.join(EXPORTERS)}."
        raise ConfigError(f"There is no export format {format!r}{hint}")
    return EXPORTERS[format]()


def licence_for(exporter: Exporter, format: str, name: str) -> str:
    """The hub's identifier of a licence. Raises ConfigError, also for a format without a card."""
    if not exporter.has_card:
        raise ConfigError(
            f"--license stands in the model card, and --to {format} writes none: use --to hub, or "
            "leave --license out."
        )
    return find_licence(name)


def check_folder(target: Path) -> None:
    """Raise ConfigError for a place that holds something other than an earlier export."""
    if target.is_file():
        raise ConfigError(f"--out names a folder, but {target} is a file.")
    if not target.is_dir() or not any(target.iterdir()):
        return
    ours = (target / NAME).is_file() and "made_by" in read_json(target / NAME)
    if not ours:
        raise ConfigError(
            f"{target} holds other files, which an export would replace: name a new folder "
            "with --out."
        )


def write_and_compare(
    format: str,
    exporter: Exporter,
    run: Run,
    predictor: Predictor,
    folder: Path,
    licence: str | None,
) -> Comparison:
    """Fill a folder with an export. Raises LacewingError where it is refused."""
    rule, threads = predictor.preprocessing, predictor.threads
    source = Source(
        model=Deployable(predictor.model, rule).eval(),
        image_size=rule.image_size,
        training_squares=lambda: training_squares(run, rule, threads),
        run=run,
        licence=licence,
    )
    write_with(exporter, format, source, folder)
    file = folder / exporter.file
    comparison = compare(
        predictor.probabilities,
        exporter.open(file),
        checking_pictures(run, rule, threads),
        (run.model.stat().st_size, file.stat().st_size),
    )
    reason = refusal(comparison, exporter)
    if reason is not None:
        raise LacewingError(f"The {format} export was refused and nothing is kept of it: {reason}.")
    bundle = read_bundle_fields(run.model)
    write_json(folder / NAME, sidecar(format, exporter, bundle, comparison))
    exporter.finish(folder)
    return comparison


def write_with(exporter: Exporter, format: str, source: Source, folder: Path) -> None:
    """Let the format's writer write; its library's failures become one sentence."""
    try:
        exporter.write(source, folder)
    except (LacewingError, OSError, MemoryError):
        raise
    except Exception as error:  # each format's library has its own for a graph it can't write
        raise LacewingError(
            f"This network can't be written as {format} with torch {torch.__version__} "
            f"({first_line(error)}): try another format."
        ) from error


def take_place(place: Path, target: Path) -> None:
    """Put a finished folder where an earlier export, or nothing, lies."""
    place.chmod(0o755)  # a temporary folder is its owner's alone
    if target.exists():
        shutil.rmtree(target)
    place.rename(target)
