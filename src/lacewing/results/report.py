"""report.html: one self-contained page, made from the run folder alone."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from lacewing.hardware.describe import machine_rows
from lacewing.results import answer, course
from lacewing.results.audited import audit_rows
from lacewing.results.calibration import dots, sentences
from lacewing.results.charts import bars, curves, matrix, rate_curve
from lacewing.results.pieces import Pieces, read_pieces
from lacewing.results.seen import embedded, without_pictures
from lacewing.results.tables import (
    class_rows,
    confused_pairs,
    mistakes,
    plan_table,
    read_predictions,
    tuned_table,
)
from lacewing.store.atomic import write_text
from lacewing.store.run import Run
from lacewing.values import format_bytes, format_seconds

PAIRS = 15
MISTAKES = 10
"""Rows of the tables of confused pairs and of the most confident mistakes."""


def write_report(run: Run) -> Path:
    """Write report.html from what the run folder holds, however far the run came."""
    environment = Environment(
        loader=PackageLoader("lacewing.results"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    environment.filters["bytes"] = format_bytes
    environment.filters["seconds"] = format_seconds
    page = environment.get_template("report.html.j2").render(content(read_pieces(run), run))
    write_text(run.report, page)
    return run.report


def content(pieces: Pieces, run: Run) -> dict[str, Any]:
    """Everything that the template shows."""
    figures = pieces.figures
    names = [one["name"] for one in figures.get("classes", [])]
    confusion = np.array(figures.get("confusion", []), dtype=np.int64)
    answers = read_predictions(run.predictions)
    evidence = embedded(run, pieces.evidence)
    trained = [row for row in pieces.epochs if row["epoch"]]
    return {
        "title": answer.title(pieces),
        "verdict": answer.verdict(pieces),
        "context": answer.context(pieces),
        "state": answer.state(pieces),
        "resume": shlex.join(["lacewing", "resume", str(run.folder)]),
        "tiles": answer.tiles(pieces),
        "splits": answer.splits(pieces),
        "facts": answer.facts(pieces),
        "split": answer.SPLITS[pieces.split],
        "head": course.head_fit(pieces),
        "blend": course.blend(pieces),
        "views": course.views(pieces),
        # a head on frozen features has one row and no course
        "curves": [curves(pieces.epochs, what) for what in ("loss", "accuracy") if trained],
        "rates": rate_curve(pieces.rates) if pieces.rates else None,
        "epochs": pieces.epochs,
        "matrix": matrix(confusion, names) if names else None,
        "pairs": confused_pairs(confusion, names, PAIRS) if names else [],
        "mistakes": mistakes(answers, MISTAKES),
        "evidence": evidence,
        "no_pictures": without_pictures(evidence),
        "dots": dots(figures),
        "confidence": sentences(pieces, answers),
        "classes": class_rows(figures, pieces.dataset) if names else [],
        "plan": plan_table(pieces.plan),
        "tuned": tuned_table(pieces.plan, pieces.tuning),
        "tried": bars((pieces.plan.get("measured") or {}).get("candidates", [])),
        "plan_notes": pieces.plan.get("notes") or [],
        "machine": machine_rows(pieces.machine) if pieces.machine else [],
        "forecast": course.forecast_rows(pieces),
        "dataset": pieces.dataset,
        "audit": audit_rows(run),
        "incidents": course.incidents(pieces),
        "events": pieces.events,
        "command": answer.command(pieces),
        "plan_path": str(run.plan) if pieces.plan else "",
        "lacking": pieces.lacking,
    }
