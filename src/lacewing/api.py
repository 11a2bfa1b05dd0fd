"""The Python face: the same words as the command line.

import lacewing

run = lacewing.train(data="photos", epochs=5)
print(run.accuracy)
for prediction in lacewing.load(run.folder).predict(["leaf.jpg"]):
    print(prediction.classes[0], prediction.probabilities[0])
"""

from pathlib import Path
from typing import Any

from lacewing.config import TrainConfig, with_recipe
from lacewing.deploy.predict import Predictor, load_predictor
from lacewing.planning.plan import Plan
from lacewing.results.finish import report
from lacewing.running.decide import prepared_fully
from lacewing.running.judge import evaluate
from lacewing.running.outcome import TrainedRun
from lacewing.running.train import resume, run_training
from lacewing.store.run import open_run

__all__ = ["TrainedRun", "evaluate", "load", "plan", "rebuild_report", "resume", "train"]


def train(**fields: Any) -> TrainedRun:
    """Train a classifier; the keywords are the fields of `TrainConfig`.

    Raises a UserError for what can't be done, TrainingError where training can't go on.
    """
    return run_training(TrainConfig(**with_recipe(fields)))


def plan(**fields: Any) -> Plan:
    """What `train` with the same keywords would decide, without training."""
    return prepared_fully(TrainConfig(**with_recipe(fields))).plan


def load(run: str | Path) -> Predictor:
    """A trained model, ready to predict.

    `run` is a run folder, a model.safetensors, a folder or a .zip that was shared, or
    `hub:owner/name`. Only safetensors are read, which can't hold code. Raises RunError or
    WeightsError where there is no model.
    """
    return load_predictor(Path(run))


def rebuild_report(run: str | Path) -> Path:
    """Write a run's report.html anew from its folder."""
    return report(open_run(Path(run)))
