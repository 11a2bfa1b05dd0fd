"""Judge a network on a split, and write down what came out."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from lacewing import console
from lacewing.data.batch import Loading
from lacewing.data.eval_loader import EvalLoader
from lacewing.data.index import ImageIndex
from lacewing.data.pixels import PixelStore
from lacewing.data.preprocess import Preprocessing
from lacewing.engine.execution import Execution
from lacewing.engine.inference import loaded_in_halves, predict_logits
from lacewing.errors import DataError
from lacewing.hardware.backend import Backend
from lacewing.models.mirrored import Mirrored
from lacewing.results.metrics import Figures, figures
from lacewing.results.tables import write_predictions
from lacewing.store.run import Run, read_json, write_json


@dataclass(frozen=True)
class Judge:
    """A network on its device, ready for forward-only passes."""

    model: nn.Module
    preprocessing: Preprocessing
    backend: Backend
    execution: Execution
    loading: Loading

    @property
    def batch(self) -> int:
        """Images at once: a mirrored model makes two of each, in the memory of the plan."""
        images = self.execution.micro_batch
        return max(1, images // 2) if isinstance(self.model, Mirrored) else images


@dataclass(frozen=True)
class Judged:
    """What came out on one split."""

    index: ImageIndex
    probabilities: np.ndarray
    """float32 [n, classes]."""
    figures: Figures
    seconds: float
    """Of the passes, decoding among them."""


def judge(judge: Judge, index: ImageIndex, title: str) -> Judged:
    """Figures of the network on every image of an index that can be read, in its order.

    Raises DataError if that is none, or if too many can't be read.
    """
    lost: list[str] = []
    store = PixelStore(index, judge.preprocessing, keep="none", on_lost=lost.append)
    loader = EvalLoader(index, store, batch_size=judge.batch, loading=judge.loading)
    started = time.perf_counter()
    with console.progress(title) as update:
        logits, labels = predict_logits(
            judge.model,
            loaded_in_halves(loader, judge.backend),
            judge.backend,
            judge.execution,
            lambda done: update(done, len(index)),
        )
    seconds = time.perf_counter() - started
    if lost:
        console.warn(
            f"{len(lost)} of {len(index)} images can't be read any more and are not judged, the "
            f"first one {lost[0]}."
        )
    there = np.setdiff1d(np.arange(len(index)), np.array(list(store.lost), np.int64))
    if not len(there):
        raise DataError(f"None of {len(index)} images can be read any more, as {lost[0]}.")
    index, probabilities = index.take(there), logits.softmax(1).numpy()[there]
    found = figures(probabilities, labels.numpy()[there], index.classes)
    return Judged(index, probabilities, found, seconds)


def write_split(run: Run, name: str, judged: Judged) -> None:
    """Add a split's figures to results.json; the test split's rows and picture too."""
    record(run, {"splits": {name: judged.figures.as_dict()}})
    if name == "test":
        from lacewing.results.figures import confusion_png  # with matplotlib

        write_predictions(
            run.predictions,
            judged.index.table.column("path").to_pylist(),
            judged.index.column("label"),
            judged.probabilities,
            judged.index.classes,
        )
        confusion_png(run.confusion, judged.figures.confusion, judged.index.classes)


def record(run: Run, more: dict[str, Any]) -> None:
    """Merge figures into results.json, one level deep."""
    known = read_json(run.results) if run.results.is_file() else {}
    for key, value in more.items():
        known[key] = {**known.get(key, {}), **value} if isinstance(value, dict) else value
    write_json(run.results, known)
