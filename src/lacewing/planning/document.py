"""The plan as a document: a table, a text, a YAML file that can be edited and obeyed."""

from pathlib import Path
from textwrap import indent
from typing import Any, get_args

import yaml

from lacewing.errors import PlanError
from lacewing.parsing import parse_yaml
from lacewing.planning.decisions import DECISIONS
from lacewing.planning.measured import Measured
from lacewing.planning.plan import Plan
from lacewing.store.atomic import write_text
from lacewing.values import Choice, Source, counted, format_bytes, format_seconds, nearest

VERSION = 1
MEASURED = """\
# What the trial found, for the record: nothing below is obeyed. `work` tells of what: beside other
# work, or after an edit above, all of it is left out.
"""
HEADER = """\
# What lacewing decided, and why. Edit a value and carry out exactly this plan with
#   lacewing train ... --plan plan.yaml
# source: user (asked for), measured (on this machine), rule (the tier table), fallback.
# In brackets: the flags that change a decision.
"""


def plan_rows(plan: Plan) -> list[tuple[str, str, str, str, str]]:
    """Decision, value, why, source, and the flags that change it; one row each."""
    return [
        (
            name.replace("_", " "),
            show(name, choice.value),
            choice.reason,
            choice.source,
            DECISIONS[name].flags,
        )
        for name, choice in plan.choices().items()
    ]


def show(name: str, value: Any) -> str:
    """A decision's value as people write it."""
    if value is None:
        return "unknown"
    if name.endswith("_bytes"):
        return format_bytes(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def explain(plan: Plan) -> str:
    """The plan as plain text, a line per decision: what the golden texts hold."""
    rows = plan_rows(plan)
    lines = [f"{name:<18} {value:<13} {source:<8} {why}" for name, value, why, source, _ in rows]
    return "\n".join([*lines, *(f"note: {note}" for note in plan.notes)]) + "\n"


def forecast_rows(measured: Measured) -> list[tuple[str, str]]:
    """What the run will take, and what finding it out took."""
    figures, rows = measured.forecast, []
    epoch, first = figures.get("epoch_seconds"), figures.get("first_epoch_seconds")
    if epoch is not None and first is not None:
        more = f", {format_seconds(first)} the first" if first > 1.1 * epoch else ""
        rows.append(("an epoch", f"{format_seconds(epoch)}{more}, with its validation"))
    if "run_seconds" in figures:
        judged = ", and the judging at the end" if figures.get("judge_seconds") else ""
        epochs = f"{counted(round(figures['epochs']), 'epoch')}{judged}"
        rows.append(("the run", f"{format_seconds(figures['run_seconds'])} for {epochs}"))
    if figures.get("peak_bytes"):
        rows.append(("memory", f"{format_bytes(figures['peak_bytes'])} at most"))
    took = format_seconds(measured.seconds)
    remembered = f"remembered; it once took {took}"
    rows.append(("the trial", remembered if measured.remembered else f"took {took}"))
    return rows


def candidate_table(measured: Measured) -> list[tuple[str, str, str, str]]:
    """Pass, way, images per second, and why a way is out or that it is the plan's; one row each."""
    return [
        (
            str(row.get("pass", "")),
            str(row.get("way", "")),
            f"{row['images_per_second']:,.1f}" if "images_per_second" in row else "-",
            "chosen" if row.get("chosen") else str(row.get("note", "")),
        )
        for row in measured.candidates
    ]


def save_plan(plan: Plan, path: Path) -> None:
    """Write plan.yaml, with a comment on what each decision may be."""
    parts = [HEADER, _dump({"version": VERSION}), "decisions:\n"]
    for name, choice in plan.choices().items():
        entry = {"value": choice.value, "reason": choice.reason, "source": choice.source}
        if choice.evidence:
            entry["evidence"] = dict(choice.evidence)
        decision = DECISIONS[name]
        about = f"# {decision.about} ({decision.flags})\n"
        parts.append(indent(f"{about}{_dump({name: entry})}", "  "))
    parts.append(_dump({"notes": list(plan.notes)}))
    if plan.measured is not None:
        parts.append(MEASURED)
        parts.append(_dump({"measured": plain(plan.measured)}))
    write_text(path, "".join(parts))


def load_plan(path: Path) -> Plan:
    """Read plan.yaml. Raises PlanError naming the file and the decision."""
    document = _read_document(path)
    decisions = document["decisions"]
    for name in decisions:
        if name not in DECISIONS:
            hint = nearest(str(name), list(DECISIONS)) or ": leave it out."
            raise PlanError(f"The plan file {path} has an unknown decision {name!r}{hint}")
    for name in DECISIONS:
        if name not in decisions:
            raise PlanError(
                f"The plan file {path} lacks the decision {name!r}: make it anew with "
                "`lacewing plan`."
            )
    notes = document.get("notes") or []
    if not isinstance(notes, list):
        raise PlanError(f"The plan file {path}: notes must be a list, but they are {notes!r}.")
    return Plan(
        **{name: _read_choice(path, name, decisions[name]) for name in DECISIONS},
        notes=tuple(str(note) for note in notes),
        measured=_read_measured(path, document.get("measured")),
    )


def plain(measured: Measured) -> dict[str, Any]:
    """What was measured, as YAML takes it."""
    return {
        "forecast": dict(measured.forecast),
        "candidates": [dict(row) for row in measured.candidates],
        "seconds": measured.seconds,
        "remembered": measured.remembered,
        "work": measured.work,
    }


def _read_measured(path: Path, fields: Any) -> Measured | None:
    """What a trial found, for the record: nothing of it is obeyed."""
    if fields is None:
        return None
    try:
        forecast = {str(name): float(value) for name, value in dict(fields["forecast"]).items()}
        candidates = tuple(dict(row) for row in fields["candidates"])
        seconds, remembered = float(fields["seconds"]), bool(fields["remembered"])
        work = str(fields.get("work", ""))  # older files have none
    except (KeyError, TypeError, ValueError):
        raise PlanError(
            f"The plan file {path}: measured is not what a trial wrote: leave that part out."
        ) from None
    return Measured(
        forecast=forecast,
        candidates=candidates,
        seconds=seconds,
        remembered=remembered,
        work=work,
    )


def _dump(part: dict[str, Any]) -> str:
    # ASCII: PyYAML reads some line breaks of Unicode back as spaces unless they are escaped
    return yaml.safe_dump(part, sort_keys=False, allow_unicode=False, width=1000)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PlanError(f"There is no plan file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"The plan file {path} can't be read: {error}.") from None
    try:
        document = parse_yaml(text)
    except ValueError as error:
        raise PlanError(f"The plan file {path} is {error}.") from None
    if not isinstance(document, dict) or not isinstance(document.get("decisions"), dict):
        raise PlanError(f"{path} is not a plan file: `lacewing plan` writes one.")
    if document.get("version") != VERSION:
        raise PlanError(
            f"{path} is a plan of version {document.get('version')}, and this lacewing reads "
            f"version {VERSION}: make it anew with `lacewing plan`."
        )
    return document


def _read_choice(path: Path, name: str, entry: Any) -> Choice[Any]:
    where = f"The plan file {path}: {name}"
    if not isinstance(entry, dict) or "value" not in entry:
        raise PlanError(f"{where} has no value.")
    evidence = entry.get("evidence") or {}
    if not isinstance(evidence, dict):
        raise PlanError(f"{where}: evidence must be names with figures, or left out.")
    source = entry.get("source", "user")
    return Choice(
        _read_value(where, name, entry["value"]),
        str(entry.get("reason", "set in the plan file")),
        source if source in get_args(Source) else "user",
        evidence,
    )


def _read_value(where: str, name: str, value: Any) -> Any:
    reader = DECISIONS[name].reader
    if value is None and reader.optional:
        return None
    try:
        return reader.read(value)
    except ValueError as error:
        raise PlanError(f"{where} {error}, but it is {value!r}.") from None
