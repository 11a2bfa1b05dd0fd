"""The plan as a document: a table, a text, a YAML file that can be edited and obeyed."""

from pathlib import Path
from textwrap import indent
from typing import Any, get_args

import yaml

from lacewing.errors import PlanError
from lacewing.planning.decisions import DECISIONS
from lacewing.planning.plan import Plan
from lacewing.store.atomic import write_text
from lacewing.values import Choice, Source, format_bytes, nearest

VERSION = 1
HEADER = """\
# What lacewing decided, and why. Edit a value and carry out exactly this plan with
#   lacewing train ... --plan plan.yaml
# source: user (asked for), measured (on this machine), rule (the tier table), fallback.
"""


def plan_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Decision, value, why, source; one row each."""
    return [
        (name.replace("_", " "), show(name, choice.value), choice.reason, choice.source)
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
    lines = [f"{name:<18} {value:<13} {source:<8} {why}" for name, value, why, source in rows]
    return "\n".join([*lines, *(f"note: {note}" for note in plan.notes)]) + "\n"


def save_plan(plan: Plan, path: Path) -> None:
    """Write plan.yaml, with a comment on what each decision may be."""
    parts = [HEADER, _dump({"version": VERSION}), "decisions:\n"]
    for name, choice in plan.choices().items():
        entry = {"value": choice.value, "reason": choice.reason, "source": choice.source}
        if choice.evidence:
            entry["evidence"] = dict(choice.evidence)
        parts.append(indent(f"# {DECISIONS[name].about}\n{_dump({name: entry})}", "  "))
    parts.append(_dump({"notes": list(plan.notes)}))
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
    )


def _dump(part: dict[str, Any]) -> str:
    # ASCII: PyYAML reads some line breaks of Unicode back as spaces unless they are escaped
    return yaml.safe_dump(part, sort_keys=False, allow_unicode=False, width=1000)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise PlanError(f"There is no plan file {path}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise PlanError(f"The plan file {path} is not valid YAML{where}.") from None
    except (OSError, ValueError) as error:
        raise PlanError(f"The plan file {path} can't be read: {error}.") from None
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
