"""The end of a run: the best weights judged on validation and test, pictures, the report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lacewing import console
from lacewing.data.folds import ALL
from lacewing.data.index import ImageIndex
from lacewing.data.subset import times_larger
from lacewing.engine.execution import Execution, for_judging
from lacewing.engine.prepare import prepare_model
from lacewing.errors import DataError, DeviceError
from lacewing.hardware.backends import backend_for
from lacewing.hardware.inspect import inspect
from lacewing.models.bundle import Bundle, load_model, restore_model
from lacewing.performance_config import EVAL_BATCH
from lacewing.planning.document import load_plan
from lacewing.planning.loaders import decoding_of
from lacewing.planning.plan import Plan
from lacewing.planning.rules.device import find_device
from lacewing.planning.trial.forecast import expected_seconds
from lacewing.results import answer
from lacewing.results.consequences import log_figures, note_doubt, take_doubt
from lacewing.results.evaluate import (
    Judge,
    Judged,
    judge,
    record,
    write_split,
)
from lacewing.results.evidence import gather_evidence
from lacewing.results.intervals import with_interval
from lacewing.results.pieces import read_pieces
from lacewing.results.projection import project
from lacewing.results.report import write_report
from lacewing.store.run import Run, read_lines
from lacewing.training.loop import Ending
from lacewing.training.session import Session

WORDS = "95 % interval "


def finish(session: Session, ending: Ending) -> Judged | None:
    """Judge the best weights, once on the test split, and write the report.

    Returns what came out on the test split; None if there is none or it was not asked for.
    """
    run, index = session.run, session.index
    model = best_model(session)
    told = summary(session, ending)
    record(run, {"training": told})
    judged: dict[str, Judged] = {}
    for split in ("val", "test") if session.config.evaluate else ():
        rows = index.split(split)
        if len(rows):
            judged[split] = judge(model, rows, f"judging on the {split} split")
            write_split(run, split, judged[split])
    record(run, {"training": held_with_judging(session, told, judged)})
    times = times_larger(index)
    if times is not None:
        seconds = {split: one.seconds for split, one in judged.items()}
        record(run, {"all_images": project(read_lines(run.metrics), seconds, times)})
    if "val" in judged:
        note_doubt(run, judged["val"])
    elif session.config.fold == ALL:
        take_doubt(run)
    gather_evidence(run, model, judged)
    log_figures(session, judged)
    session.events.record("finished", ending.reason)
    report(run)
    return judged.get("test")


def best_model(session: Session) -> Judge:
    """The session's network with the weights of its best epoch."""
    if session.best_weights is not None:
        session.model.load_state_dict(session.best_weights)
    elif session.run.model.is_file():
        session.model.load_state_dict(load_model(session.run.model).state)
    device = session.backend.torch_device(session.device_index)
    return Judge(
        session.finished,
        session.preprocessing,
        session.backend,
        for_judging(session.plan.eval_execution),
        decoding_of(session.plan, device),
    )


def summary(session: Session, ending: Ending) -> dict[str, Any]:
    """What results.json says of the training itself."""
    rows = list(read_lines(session.run.metrics))
    peaks = [row["peak_bytes"] for row in rows if row.get("peak_bytes")]
    # of training, which is slower than a recipe's pass to features; of that where it was all
    trained = [row for row in rows if row["epoch"]] or rows
    speeds = sorted(row["images_per_second"] for row in trained)
    return {
        "ending": ending.reason,
        "epochs": session.progress.epoch,
        "best_epoch": session.progress.best_epoch,
        "seconds": session.progress.elapsed_seconds,
        "images_per_second": speeds[len(speeds) // 2] if speeds else None,
        "peak_bytes": max(peaks, default=None),
        "micro_batch": session.progress.micro_batch,
        **held_against_forecast(session, rows),
    }


def held_against_forecast(session: Session, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds and bytes that the trial expected of these epochs, and what they took; of one that
    the clock ended, for its part of the steps.

    Nothing of a recipe, whose epochs are of a size that it decides later.
    """
    measured = session.plan.measured if session.config.is_classic else None
    if measured is None or not rows or "epoch_seconds" not in measured.forecast:
        return {}
    epochs = session.progress.step / session.train_loader.steps_per_epoch
    return {
        "forecast_seconds": expected_seconds(dict(measured.forecast), epochs),
        "epochs_seconds": sum(row["seconds"] for row in rows),
        "forecast_peak_bytes": measured.forecast.get("peak_bytes", 0.0),
    }


def held_with_judging(
    session: Session, told: Mapping[str, Any], judged: Mapping[str, Judged]
) -> dict[str, float]:
    """Seconds that the trial expected of these epochs and the judging, and what they took.

    `told` is the summary of the training. Nothing where the trial did not know of the judging: of
    mirrored views, or where there was none.
    """
    measured = session.plan.measured
    if measured is None or "forecast_seconds" not in told or not judged or session.mirror:
        return {}
    expected = measured.forecast.get("judge_seconds", 0.0)
    return {
        "forecast_run_seconds": told["forecast_seconds"] + expected,
        "run_seconds": told["epochs_seconds"] + sum(one.seconds for one in judged.values()),
    }


def report(run: Run) -> Path:
    """Draw the curves and write report.html anew, from the run folder alone."""
    epochs = read_pieces(run).epochs
    if epochs:
        from lacewing.results.figures import curves_png  # with matplotlib

        curves_png(run.curves, epochs)
    return write_report(run)


def evaluate_own(run: Run) -> Judged:
    """Judge a finished run's model on its own images again; what came out on the test split.

    Raises DataError where it has none.
    """
    bundle, index = load_model(run.model), ImageIndex.load(run.index)
    if not len(index.split("test")):
        raise DataError(f"{run.folder} has no test split: name other images with --data.")
    model = judge_of(bundle, load_plan(run.current_plan))
    judged = {}
    for name in ("val", "test"):  # the report's doubtful labels are of both
        rows = index.split(name)
        if not len(rows):
            continue
        try:
            judged[name] = judge(model, rows, f"judging on the {name} split")
        except DataError as error:
            if name == "test":
                raise
            console.warn(f"The {name} split is passed over: {error}")
        else:
            write_split(run, name, judged[name])
    gather_evidence(run, model, judged)
    report(run)
    return judged["test"]


def evaluate_others(run: Run, index: ImageIndex, name: str) -> Judged:
    """Judge a finished run's model on other images; the figures go to results.json by `name`.

    It must be no split's. Raises DataError for unknown classes.
    """
    bundle = load_model(run.model)
    model = judge_of(bundle, load_plan(run.current_plan))
    judged = judge(model, relabelled(index, bundle), f"judging on {name}")
    write_split(run, name, judged)
    report(run)
    return judged


def judge_of(bundle: Bundle, plan: Plan) -> Judge:
    """A saved model on the plan's device, or on this machine's best."""
    machine = inspect(None)
    try:
        address = find_device(machine, plan.device.value).address
        execution = for_judging(plan.eval_execution)
    except DeviceError:
        address = machine.devices[0].address
        most = EVAL_BATCH[1]  # the plan is another device's
        execution = Execution(device=address, micro_batch=min(plan.eval_batch.value, most))
    backend, number = backend_for(address)
    backend.configure(execution.precision, machine.cores.value, deterministic=False)
    device = backend.torch_device(number)
    model = prepare_model(restore_model(bundle), execution, device)
    loading = decoding_of(plan, device)
    pins = loading.pin_memory and backend.capabilities.pinned_memory
    loading = replace(loading, pin_memory=pins)
    return Judge(model, bundle.preprocessing, backend, execution, loading)


def relabelled(index: ImageIndex, bundle: Bundle) -> ImageIndex:
    """An index whose labels are the model's; the classes are matched by name."""
    unknown = [name for name in index.classes if name not in bundle.classes]
    if unknown:
        raise DataError(
            f"The model knows no class {unknown[0]!r} ({len(unknown)} of the data's "
            f"{len(index.classes)} classes are unknown): it was trained on "
            f"{', '.join(bundle.classes[:6])}{', ...' if len(bundle.classes) > 6 else ''}."
        )
    to_model = np.array([bundle.classes.index(name) for name in index.classes], np.int32)
    column = index.table.schema.get_field_index("label")
    labels = pa.array(to_model[index.column("label")], pa.int32())
    table = index.table.set_column(column, "label", labels)
    return replace(index, table=table, classes=tuple(bundle.classes), class_ids=())


def show_answer(run: Run, judged: Judged | None) -> None:
    """The result, on the screen; of validation, and how that is meant, where nothing was judged."""
    console.heading("Result")
    pieces = read_pieces(run)
    if judged is not None:
        console.pairs(figure_rows("test images", judged.figures.as_dict()))
    elif pieces.figures and pieces.split == "val":
        console.pairs(figure_rows("validation images", pieces.figures))
        console.note(answer.CHOSEN_ON)
    rows = [("forecast", answer.forecast(pieces)), ("on all images", answer.on_all_images(pieces))]
    said = [row for row in rows if row[1]]
    console.pairs([*said, ("run folder", str(run.folder)), ("report", str(run.report))])


def figure_rows(images: str, figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the figures of one split, as results.json has them."""

    def told(name: str, words: str = "") -> str:
        return with_interval(figures[name], figures[f"{name}_interval"], words)

    return [
        (images, str(figures["images"])),
        ("top-1 accuracy", told("top1", WORDS)),
        ("top-3, top-5", f"{told('top3')}, {told('top5')}"),
        ("macro F1", told("f1", WORDS)),
        ("macro precision, recall", f"{told('precision')}, {told('recall')}"),
        ("geometric mean of recalls", told("geometric_mean")),
    ]
