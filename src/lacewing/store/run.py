"""Run: one folder, the contract between the rooms. Its file names stand here and nowhere else.

Report, resume, predict and export need only this folder; a bug report is this folder without
the weights.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacewing.errors import RunError
from lacewing.parsing import parse_json
from lacewing.store.atomic import write_text

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Run:
    """Paths inside a run folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """The resolved TrainConfig, YAML."""
        return self.folder / "config.yaml"

    @property
    def asked(self) -> Path:
        """The TrainConfig as it was asked for, before anything was decided, YAML."""
        return self.folder / "asked.yaml"

    @property
    def machine(self) -> Path:
        """The Machine, JSON."""
        return self.folder / "machine.json"

    @property
    def dataset(self) -> Path:
        """Summary of the images: name, layout, classes, counts, excluded files, JSON."""
        return self.folder / "dataset.json"

    @property
    def index(self) -> Path:
        """The ImageIndex with its splits, an Arrow file."""
        return self.folder / "index.arrow"

    @property
    def plan(self) -> Path:
        """The Plan, YAML."""
        return self.folder / "plan.yaml"

    @property
    def tuning(self) -> Path:
        """The Plan of a recipe's fine-tuning, whose images are smaller, YAML."""
        return self.folder / "finetune.yaml"

    @property
    def current_plan(self) -> Path:
        """The Plan that training goes by now: fine-tuning's once that has begun."""
        return self.tuning if self.tuning.is_file() else self.plan

    @property
    def events(self) -> Path:
        """What happened, one JSON object per line: time, kind, and what belongs to the kind."""
        return self.folder / "events.jsonl"

    @property
    def metrics(self) -> Path:
        """One JSON object per epoch."""
        return self.folder / "metrics.jsonl"

    @property
    def progress(self) -> Path:
        """The running epoch's steps, for whoever watches, JSON; written every few seconds."""
        return self.folder / "progress.json"

    @property
    def rates(self) -> Path:
        """What the learning-rate search saw: rates, losses, the chosen rate, JSON."""
        return self.folder / "learning_rate.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def last(self) -> Path:
        """Names the newest complete checkpoint."""
        return self.folder / "LAST"

    @property
    def lock(self) -> Path:
        """Held by the process that trains in this folder."""
        return self.folder / ".lock"

    @property
    def model(self) -> Path:
        """The best weights with everything needed to use them, safetensors."""
        return self.folder / "model.safetensors"

    @property
    def start(self) -> Path:
        """The weights that a recipe's fine-tuning started from, safetensors."""
        return self.folder / "start.safetensors"

    @property
    def results(self) -> Path:
        """Final figures on each evaluated split, JSON."""
        return self.folder / "results.json"

    @property
    def predictions(self) -> Path:
        """One row per test image, CSV."""
        return self.folder / "predictions.csv"

    @property
    def suspects(self) -> Path:
        """One row per judged image whose label is likely wrong, CSV."""
        return self.folder / "suspects.csv"

    @property
    def evidence_folder(self) -> Path:
        """Folder of the report's pictures: mistakes, confused pairs, doubtful labels."""
        return self.folder / "evidence"

    @property
    def evidence(self) -> Path:
        """What those pictures show, JSON."""
        return self.evidence_folder / "evidence.json"

    @property
    def confusion(self) -> Path:
        """Confusion matrix, PNG."""
        return self.folder / "confusion_matrix.png"

    @property
    def curves(self) -> Path:
        """Loss and accuracy over the epochs, PNG."""
        return self.folder / "curves.png"

    @property
    def report(self) -> Path:
        """The report, one self-contained HTML file."""
        return self.folder / "report.html"

    @property
    def exports(self) -> Path:
        """Folder of the exports, one folder for each format."""
        return self.folder / "exports"

    @property
    def tensorboard(self) -> Path:
        """Folder of the TensorBoard files."""
        return self.folder / "tensorboard"


def open_run(folder: Path) -> Run:
    """An existing run folder. Raises RunError if it is none."""
    run = Run(folder)
    check_folder(folder)
    refuse_folds(folder)
    if not run.config.is_file():
        raise RunError(f"{folder} is not a run folder: it has no {run.config.name}.")
    return run


def check_folder(folder: Path) -> None:
    """Raise RunError where there is no such folder."""
    if not folder.is_dir():
        raise RunError(f"There is no run folder {folder}.")


def refuse_folds(folder: Path) -> None:
    """Raise RunError for a folder of several folds' runs."""
    if (folder / "folds.yaml").is_file():
        raise RunError(f"{folder} holds the runs of several folds: name one, as {folder / 'all'}.")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; a list without lists or objects in it is one line."""
    write_text(path, laid_out(value) + "\n")


def laid_out(value: Any, margin: str = "") -> str:
    """JSON that is easy to read and no longer than it must be: a matrix has a line per row."""
    within = margin + "  "
    if isinstance(value, dict) and value:
        # a key goes through `dumps` with its value, which also tells how other types are spelt
        rows = [
            json.dumps({key: 0}, ensure_ascii=False)[1:-2] + laid_out(inner, within)
            for key, inner in value.items()
        ]
        return "{\n" + ",\n".join(within + row for row in rows) + f"\n{margin}}}"
    if isinstance(value, list | tuple) and any(isinstance(i, dict | list | tuple) for i in value):
        rows = [laid_out(inner, within) for inner in value]
        return "[\n" + ",\n".join(within + row for row in rows) + f"\n{margin}]"
    return json.dumps(value, ensure_ascii=False)


def read_json(path: Path) -> Any:
    """Read JSON. Raises RunError naming the file if it is missing or damaged."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent} has no {path.name}: the run did not get that far.") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can't be read: {error}.") from None


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON object to a .jsonl file. Raises OSError where the disk refuses.

    A line that a crash or a full disk cut off before is ended first, so that it spoils only
    itself.
    """
    with path.open("ab+") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        cut_off = file.read(1) not in (b"", b"\n")
        line = json.dumps(record, ensure_ascii=False) + "\n"
        # a name that is no UTF-8 has lone surrogates, which JSON can only escape
        file.write(b"\n" * cut_off + line.encode("utf-8", "backslashreplace"))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl file; a line cut off by a crash is passed over."""
    if not path.is_file():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            record = parse_json(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record
