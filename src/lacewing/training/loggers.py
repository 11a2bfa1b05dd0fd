"""Where a run's figures also go: Weights & Biases, MLflow. Each through its own client.

A logger never ends a run: what it raises is told once, and training goes on.
"""

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from lacewing.config import TrainConfig, field_names
from lacewing.errors import MissingExtraError
from lacewing.store.run import Run, read_lines
from lacewing.training.events import EventLog
from lacewing.training.tensorboard import GROUPS

PROJECT = "lacewing"
"""The project, or experiment, where the client's own environment variable names none."""
LONGEST_VALUE = 500
"""Characters of one parameter that every MLflow server takes."""


class Logger(Protocol):
    """One place; opened anew for each part of a run, it goes on with the same entry there."""

    def add(self, figures: Mapping[str, float], epoch: int) -> None:
        """Write figures by their tag, at an epoch."""

    def close(self, figures: Mapping[str, float]) -> None:
        """Write what stands for the whole run, and send what is waiting."""


class WandbLogger:
    """Weights & Biases; WANDB_MODE=offline writes into the run's folder."""

    def __init__(self, run: Run, config: Mapping[str, Any], key: str) -> None:
        wandb = importlib.import_module("wandb")
        self.run = wandb.init(
            project=None if "WANDB_PROJECT" in os.environ else PROJECT,
            dir=str(run.folder),
            name=run.folder.name,
            id=key,
            resume="allow",
            config=dict(config),
        )
        # epochs are the axis: a resumed run may write one again, which its own steps don't allow
        self.run.define_metric("epoch")
        self.run.define_metric("*", step_metric="epoch")

    def add(self, figures: Mapping[str, float], epoch: int) -> None:
        self.run.log({"epoch": epoch, **figures})

    def close(self, figures: Mapping[str, float]) -> None:
        self.run.summary.update(dict(figures))
        self.run.finish()


class MlflowLogger:
    """MLflow; MLFLOW_TRACKING_URI says where, by default its own place in the current folder."""

    def __init__(self, run: Run, config: Mapping[str, Any], key: str) -> None:
        mlflow = importlib.import_module("mlflow")
        self.client = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self.client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self.client.create_experiment(name)
        known = self.client.search_runs([experiment], f"tags.lacewing_run = '{key}'")
        if known:
            self.id = known[0].info.run_id
            return
        tags = {"lacewing_run": key}
        created = self.client.create_run(experiment, tags=tags, run_name=run.folder.name)
        self.id = created.info.run_id
        for field, value in config.items():
            self.client.log_param(self.id, field, str(value)[:LONGEST_VALUE])

    def add(self, figures: Mapping[str, float], epoch: int) -> None:
        for tag, value in figures.items():
            self.client.log_metric(self.id, tag, value, step=epoch)

    def close(self, figures: Mapping[str, float]) -> None:
        for tag, value in figures.items():
            self.client.log_metric(self.id, tag, value)
        self.client.set_terminated(self.id)


LOGGERS: Mapping[str, Callable[[Run, Mapping[str, Any], str], Logger]] = {
    "wandb": WandbLogger,
    "mlflow": MlflowLogger,
}
"""Each name is also that of the client's package and of our extra."""


def check_loggers(config: TrainConfig) -> None:
    """Raise MissingExtraError for a client that is asked for and not installed."""
    for name in names_of(config):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, name, f"--log {name}")


def names_of(config: TrainConfig) -> tuple[str, ...]:
    """The keys of LOGGERS that the configuration asks for."""
    return tuple(config.log.split(",")) if config.log else ()


@dataclass
class Loggers:
    """Those of one part of a run; where one fails, the event log says so and it is left out."""

    events: EventLog
    opened: dict[str, Logger]

    def add(self, row: Mapping[str, Any]) -> None:
        """Write an epoch's row under the tags that TensorBoard has."""
        figures = {tag: row[name] for name, tag in GROUPS.items() if row.get(name) is not None}
        self._each(lambda logger: logger.add(figures, row["epoch"]))

    def close(self, figures: Mapping[str, float] | None = None) -> None:
        """End them, with figures of the whole run if there are any."""
        self._each(lambda logger: logger.close(figures or {}))

    def _each(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self.opened.items()):
            try:
                call(logger)
            except Exception as error:  # a client's own kinds: no server is worth a run
                del self.opened[name]
                self.events.warn("log", f"{name} is left out from here on: {_short(error)}")


def open_loggers(run: Run, config: TrainConfig, events: EventLog, wanted: bool = True) -> Loggers:
    """The configuration's loggers; one that can't be opened is told of and left out.

    None if not `wanted`: of several processes one logs.
    """
    opened: dict[str, Logger] = {}
    fields = {name: _plain(getattr(config, name)) for name in field_names()}
    for name in names_of(config) if wanted else ():
        try:
            opened[name] = LOGGERS[name](run, fields, key_of(run))
        except Exception as error:  # as above
            events.warn("log", f"{name} can't be used, and training goes on: {_short(error)}")
    return Loggers(events, opened)


def key_of(run: Run) -> str:
    """A name for a run that stays when it is resumed, and is no other's: hex."""
    first = next(read_lines(run.events), {})
    text = f"{run.folder.name} {first.get('time')}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _short(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
