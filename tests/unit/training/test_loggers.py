"""Figures sent on through clients, which are faked at their boundary."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from lacewing.config import TrainConfig
from lacewing.errors import ConfigError, MissingExtraError
from lacewing.store.run import Run, append_line, read_lines
from lacewing.training.events import EventLog
from lacewing.training.loggers import LOGGERS, check_loggers, key_of, open_loggers

ROW = {"epoch": 2, "train_loss": 0.5, "val_accuracy": 0.75, "val_loss": None, "best": True}


class FakeWandb(ModuleType):
    """Of wandb what is used: runs by id, which go on when they are opened again."""

    def __init__(self):
        super().__init__("wandb")
        self.opened, self.rows, self.summary, self.finished = [], [], {}, 0

    def init(self, **words):
        self.opened.append(words)
        return SimpleNamespace(
            define_metric=lambda *words, **more: None,
            log=self.rows.append,
            summary=self.summary,
            finish=lambda: setattr(self, "finished", self.finished + 1),
        )


class FakeMlflow(ModuleType):
    """Of mlflow's client what is used, in dictionaries."""

    def __init__(self):
        super().__init__("mlflow")
        self.experiments, self.runs, self.metrics, self.parameters = {}, {}, [], {}
        self.ended = []

    def MlflowClient(self):  # noqa: N802
        return self

    def get_experiment_by_name(self, name):
        known = self.experiments.get(name)
        return known and SimpleNamespace(experiment_id=known)

    def create_experiment(self, name):
        return self.experiments.setdefault(name, f"number {len(self.experiments)}")

    def search_runs(self, experiments, filter_string):
        key = filter_string.split("'")[1]
        return [SimpleNamespace(info=SimpleNamespace(run_id=name))
                for name, (place, tags) in self.runs.items()
                if place in experiments and tags["lacewing_run"] == key]  # fmt: skip

    def create_run(self, experiment, tags, run_name):
        self.runs[run_name] = experiment, tags
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def log_param(self, run, name, value):
        assert name not in self.parameters, "MLflow refuses another value"
        self.parameters[name] = value

    def log_metric(self, run, name, value, step=None):
        self.metrics.append((run, name, value, step))

    def set_terminated(self, run):
        self.ended.append(run)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "first").mkdir()
    run = Run(tmp_path / "first")
    append_line(run.events, {"time": "2026-11-03T14:22:05", "kind": "start"})
    return run


@pytest.fixture
def clients(monkeypatch):
    """Both fakes, where the clients would be."""
    fakes = SimpleNamespace(wandb=FakeWandb(), mlflow=FakeMlflow())
    for name in LOGGERS:
        monkeypatch.setitem(sys.modules, name, getattr(fakes, name))
    for variable in ("WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(variable, raising=False)
    return fakes


def opened(run, log, shown=None):
    events = EventLog(run, (shown if shown is not None else []).append)
    return open_loggers(run, TrainConfig(data="photos", log=log), events)


def test_wandb_gets_each_epoch_and_the_end(run, clients):
    loggers = opened(run, "wandb")
    loggers.add(ROW)
    loggers.close({"test/top1": 0.9})
    (words,) = clients.wandb.opened
    assert (words["project"], words["name"], words["resume"]) == ("lacewing", "first", "allow")
    assert (words["config"]["data"], words["config"]["epochs"]) == ("photos", 10)
    assert clients.wandb.rows == [{"epoch": 2, "loss/train": 0.5, "accuracy/val": 0.75}]
    assert clients.wandb.summary == {"test/top1": 0.9}
    assert clients.wandb.finished == 1


def test_mlflow_gets_each_epoch_and_the_end(run, clients):
    loggers = opened(run, "mlflow")
    loggers.add(ROW)
    loggers.close({"test/top1": 0.9})
    assert clients.mlflow.metrics == [
        ("first", "loss/train", 0.5, 2),
        ("first", "accuracy/val", 0.75, 2),
        ("first", "test/top1", 0.9, None),
    ]
    assert clients.mlflow.parameters["optimizer"] == "adamw"
    assert clients.mlflow.ended == ["first"]


def test_a_resumed_run_goes_on_with_its_entry(run, clients):
    for _ in range(2):
        opened(run, "mlflow,wandb").close()
    assert len(clients.mlflow.runs) == 1
    assert len({words["id"] for words in clients.wandb.opened}) == 1
    append_line(Run(run.folder.parent).events, {"time": "later", "kind": "start"})
    assert key_of(Run(run.folder.parent)) != key_of(run)


def test_a_server_that_is_gone_is_told_of_once_and_left_out(run, clients, capsys):
    loggers = opened(run, "mlflow,wandb")

    def refuse(*_, **__):
        raise ConnectionError("no route\nto the host")

    clients.mlflow.log_metric = refuse
    loggers.add(ROW)
    loggers.add(ROW)
    loggers.close({"test/top1": 0.9})
    assert len(clients.wandb.rows) == 2
    told = [event["message"] for event in read_lines(run.events) if event["kind"] == "log"]
    assert told == ["mlflow is left out from here on: ConnectionError: no route"]
    assert told[0] in " ".join(capsys.readouterr().err.split())


def test_one_that_cannot_be_opened_is_told_of(run, clients):
    clients.wandb.init = lambda **_: 1 / 0
    assert opened(run, "wandb").opened == {}
    (event,) = [event for event in read_lines(run.events) if event["kind"] == "log"]
    assert event["message"].startswith("wandb can't be used, and training goes on: ZeroDivision")


def test_a_client_that_is_not_installed_is_asked_for(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_loggers(TrainConfig(data="photos"))
    with pytest.raises(MissingExtraError, match=r'--log wandb needs wandb.*"lacewing\[wandb\]"'):
        check_loggers(TrainConfig(data="photos", log="wandb"))


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="--log must be some of wandb,mlflow"):
        TrainConfig(data="photos", log="wandb,tensorflow")
    assert TrainConfig(data="photos", log="MLflow, wandb,mlflow").log == "mlflow,wandb"
    assert set(LOGGERS) == {"wandb", "mlflow"}
