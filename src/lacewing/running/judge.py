"""Judge a model that is trained already."""

from pathlib import Path
from typing import Any

from lacewing import console
from lacewing.config import TrainConfig, load_config
from lacewing.data.index import SPLITS, ImageIndex
from lacewing.data.open import open_images
from lacewing.data.sample import draw_sample
from lacewing.errors import ConfigError
from lacewing.hardware.limits import usable_cores
from lacewing.results.finish import evaluate_others, evaluate_own, show_answer
from lacewing.running.outcome import TrainedRun
from lacewing.store.run import Run, open_run


def evaluate(
    run: str | Path,
    data: str | None = None,
    data_root: Path | None = None,
    images: Path | None = None,
) -> dict[str, Any]:
    """Figures of a run's best model on its test split, or on other images.

    Of other data the test split is taken if it has one, else every image; it is said how many of
    them the model was trained on.
    """
    folder = open_run(Path(run))
    if data is None:
        judged = evaluate_own(folder)
    else:
        index = other_images(data, data_root, images)
        if folder.index.is_file():
            tell_known(ImageIndex.load(folder.index), index)
        # a folder called "test" is not the run's own split
        name = str(Path(data).absolute()) if index.name in SPLITS else index.name
        judged = evaluate_others(folder, index, name)
    show_answer(folder, judged)
    return judged.figures.as_dict()


def only_evaluate(config: TrainConfig) -> TrainedRun:
    """`--train False`: judge a trained model, on its own test split if no other data is named."""
    folder = config.load_model or config.load_checkpoint
    assert isinstance(folder, Path)
    data = None if is_own(config, open_run(folder)) else config.data
    figures = evaluate(folder, data, config.data_root, config.images)
    return TrainedRun(folder, True, "evaluated", figures["top1"])


def is_own(config: TrainConfig, run: Run) -> bool:
    """Whether the data are those that the run was trained on, by the words for them."""
    if config.data is None:
        return True
    try:
        known = load_config(run.config)
    except ConfigError:  # of a version with other fields
        return False
    names = ("data", "data_root", "images")
    return all(str(getattr(config, name)) == str(known.get(name)) for name in names)


def other_images(data: str, data_root: Path | None, images: Path | None) -> ImageIndex:
    """The images that a trained model is to be judged on. Raises DataError."""
    with console.progress("reading the images") as update:
        index = open_images(
            data,
            data_root=data_root,
            images=images,
            val_share=0.0,
            test_share=0.0,
            threads=usable_cores().value,
            progress=update,
            draw_sample=draw_sample,
        )
    tested = index.split("test")
    return tested if len(tested) else index


def tell_known(own: ImageIndex, others: ImageIndex) -> None:
    """Warn of images that the model was trained on, by their content: they say nothing of it."""
    seen = set(own.without("test").table.column("hash").to_pylist())
    known = sum(content in seen for content in others.table.column("hash").to_pylist())
    if known:
        console.warn(
            f"{known} of these {len(others)} images were in the run's training or validation: on "
            "them the model looks better than it is."
        )
