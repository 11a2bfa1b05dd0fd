"""Judge a model that is trained already."""

from pathlib import Path
from typing import Any

from lacewing import console
from lacewing.config import TrainConfig
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.sample import draw_sample
from lacewing.results.finish import evaluate_run, show_answer
from lacewing.running.outcome import TrainedRun
from lacewing.store.run import open_run


def evaluate(run: str | Path, data: str | None = None) -> dict[str, Any]:
    """Figures of a run's best model on its test split, or on other images.

    Of other data the test split is taken if it has one, else every image.
    """
    folder = open_run(Path(run))
    if data is None:
        judged = evaluate_run(folder, None, "test")
    else:
        index = other_images(data)
        judged = evaluate_run(folder, index, index.name)
    show_answer(folder, judged)
    return judged.figures.as_dict()


def only_evaluate(config: TrainConfig) -> TrainedRun:
    """`--train False`: judge a trained model, on its own test split if no data is named."""
    folder = config.load_model or config.load_checkpoint
    assert isinstance(folder, Path)
    figures = evaluate(folder, config.data)
    return TrainedRun(folder, True, "evaluated", figures["top1"])


def other_images(data: str) -> ImageIndex:
    """The images that a trained model is to be judged on. Raises DataError."""
    with console.progress("reading the images") as update:
        index = open_images(
            data, val_share=0.0, test_share=0.0, progress=update, draw_sample=draw_sample
        )
    tested = index.split("test")
    return tested if len(tested) else index
