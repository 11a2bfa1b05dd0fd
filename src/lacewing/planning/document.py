"""The plan as a document: a table, a text, a YAML file that can be edited and obeyed."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import yaml

from lacewing.errors import PlanError
from lacewing.planning.plan import Plan
from lacewing.store.atomic import write_text
from lacewing.values import Choice, Source, format_bytes, nearest

VERSION = 1
HEADER = """\
# What lacewing decided, and why. Edit a value and carry out exactly this plan with
#   lacewing train ... --plan plan.yaml
# source: user (asked for), measured (on this machine), rule (the tier table), fallback.
"""
POSITIVE = ("threads", "image_size", "micro_batch", "accumulation", "batch")
WORDS = {
    "precision": ("fp32", "tf32", "bf16", "fp16"),
    "memory_format": ("contiguous", "channels_last"),
    "compile": ("off", "default", "reduce-overhead"),
    "optimizer_kernel": ("plain", "foreach", "fused"),
    "pixels": ("ram", "none"),
}


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
    lines = [f"{name:<18} {value:<14} {source:<9} {why}" for name, value, why, source in rows]
    return "\n".join([*lines, *(f"note: {note}" for note in plan.notes)]) + "\n"


def save_plan(plan: Plan, path: Path) -> None:
    """Write plan.yaml."""
    decisions = {
        name: {
            "value": choice.value,
            "reason": choice.reason,
            "source": choice.source,
            **({"evidence": dict(choice.evidence)} if choice.evidence else {}),
        }
        for name, choice in plan.choices().items()
    }
    document = {"version": VERSION, "decisions": decisions, "notes": list(plan.notes)}
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    write_text(path, HEADER + body)


def load_plan(path: Path) -> Plan:
    """Read plan.yaml. Raises PlanError naming the file and the field."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"There is no plan file {path}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        detail = str(error).splitlines()[0]
        raise PlanError(f"The plan file {path} can't be read: {detail}.") from None
    if not isinstance(document, dict) or not isinstance(document.get("decisions"), dict):
        raise PlanError(f"{path} is not a plan file: `lacewing plan` writes one.")
    if document.get("version") != VERSION:
        raise PlanError(
            f"{path} is a plan of version {document.get('version')}, and this lacewing reads "
            f"version {VERSION}: make it anew with `lacewing plan`."
        )
    decisions = document["decisions"]
    wanted = [field.name for field in fields(Plan) if field.name != "notes"]
    for name in decisions:
        if name not in wanted:
            hint = nearest(str(name), wanted) or "."
            raise PlanError(f"The plan file {path} has an unknown decision {name!r}{hint}")
    for name in wanted:
        if name not in decisions:
            raise PlanError(f"The plan file {path} lacks the decision {name!r}.")
    notes = document.get("notes") or []
    return Plan(
        **{name: _read_choice(path, name, decisions[name]) for name in wanted},
        notes=tuple(str(note) for note in notes),
    )


def _read_choice(path: Path, name: str, entry: Any) -> Choice[Any]:
    if not isinstance(entry, dict) or "value" not in entry:
        raise PlanError(f"The plan file {path}: the decision {name!r} has no value.")
    value = entry["value"]
    problem = _problem(name, value)
    if problem:
        raise PlanError(f"The plan file {path}: {name} {problem}, but it is {value!r}.")
    source = entry.get("source", "user")
    return Choice(
        value,
        str(entry.get("reason", "set in the plan file")),
        source if source in get_args(Source) else "user",
        dict(entry.get("evidence") or {}),
    )


def _problem(name: str, value: Any) -> str | None:
    """What is wrong with a decision's value, as a clause; None if nothing is."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    is_number = is_whole or isinstance(value, float)
    if name in WORDS:
        return None if value in WORDS[name] else f"must be one of {', '.join(WORDS[name])}"
    if name in POSITIVE:
        return None if is_whole and value > 0 else "must be a whole number above 0"
    if name in ("workers", "prefetch"):
        return None if is_whole and value >= 0 else "must be a whole number of at least 0"
    if name in ("persistent_workers", "pin_memory"):
        return None if isinstance(value, bool) else "must be true or false"
    if name == "memory_share":
        return None if is_number and 0 < value <= 1 else "must be above 0 and at most 1"
    if name == "learning_rate":
        return None if is_number and value > 0 else "must be a number above 0"
    if name == "memory_bytes":
        return None if value is None or (is_whole and value > 0) else "must be bytes, or null"
    return None if isinstance(value, str) and value else "must be a word"
