"""What a run folder holds, read for the report: every piece that is there, and what lacks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacewing.errors import RunError
from lacewing.hardware.machine import Machine
from lacewing.parsing import parse_yaml
from lacewing.store.run import Run, read_json, read_lines

Table = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The files of a run folder as plain values; empty or None where a file is not there."""

    asked: Table
    """What was asked for; empty in a run of an older version."""
    config: Table
    """What was carried out."""
    machine: Machine | None
    dataset: Table
    plan: Table
    """plan.yaml as it was written, so that a plan of an older version can be shown too."""
    tuning: Table
    """The same of finetune.yaml; empty where there was no fine-tuning."""
    epochs: list[Table]
    """The rows of metrics.jsonl, each epoch once: a resumed run may have redone one."""
    rates: Table
    """What a learning-rate search saw; empty where there was none."""
    events: list[Table]
    results: Table
    evidence: Table
    """What the report's pictures show; empty where none were made."""
    lacking: tuple[str, ...]
    """A sentence for each file that is missing or damaged."""

    @property
    def trained(self) -> Table:
        """The plan that the weights were last trained by."""
        return self.tuning or self.plan

    @property
    def figures(self) -> Table:
        """The figures of the split that answers for the run: test, else val, else empty."""
        splits = self.results.get("splits", {})
        return splits.get("test") or splits.get("val") or {}

    @property
    def split(self) -> str:
        """The name of that split."""
        return "test" if self.results.get("splits", {}).get("test") else "val"


def read_pieces(run: Run) -> Pieces:
    """Read a run folder as far as it goes. Raises nothing for what is missing or damaged."""
    lacking: list[str] = []

    def read(path: Path, reader: Callable[[Path], Any], instead: Any) -> Any:
        try:
            return reader(path)
        except RunError as error:
            lacking.append(str(error))
            return instead

    epochs = {row["epoch"]: row for row in read_lines(run.metrics) if "epoch" in row}
    if not epochs:
        lacking.append("No epoch was finished, so there are no curves.")
    return Pieces(
        asked=read(run.asked, _read_yaml, {}) if run.asked.is_file() else {},
        config=read(run.config, _read_yaml, {}),
        machine=read(run.machine, _read_machine, None),
        dataset=read(run.dataset, read_json, {}),
        plan=read(run.plan, _read_yaml, {}),
        tuning=read(run.tuning, _read_yaml, {}) if run.tuning.is_file() else {},
        epochs=[epochs[number] for number in sorted(epochs)],
        rates=read(run.rates, read_json, {}) if run.rates.is_file() else {},
        events=list(read_lines(run.events)),
        results=read(run.results, read_json, {}),
        evidence=_read_evidence(run.evidence),
        lacking=tuple(lacking),
    )


def _read_yaml(path: Path) -> Table:
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent} has no {path.name}: the run did not get that far.") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can't be read: {error}.") from None
    if not isinstance(document, dict):
        raise RunError(f"{path} can't be read: it holds no table.")
    return document


def _read_evidence(path: Path) -> Table:
    """evidence.json; empty if it is not there, damaged or no table: then rows do without."""
    try:
        evidence = read_json(path)
    except RunError:
        return {}
    return evidence if isinstance(evidence, dict) else {}


def _read_machine(path: Path) -> Machine:
    fields = read_json(path)
    try:
        return Machine.from_dict(fields)
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} can't be read: {error} is missing or wrong.") from None
