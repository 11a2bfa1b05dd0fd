"""Cross-validation: the runs that it is made of, and where they stand."""

from dataclasses import replace
from pathlib import Path
from statistics import median, mode
from typing import Any

from lacewing.config import TrainConfig, load_config, save_config
from lacewing.data.folds import ALL
from lacewing.errors import ConfigError, RunError
from lacewing.store.atomic import replacing
from lacewing.store.run import Run, read_json
from lacewing.training.begin import new_folder, run_folder
from lacewing.training.find import same_words

ASKED, FOUND = "folds.yaml", "folds.json"
"""In the folder around the runs: what was asked for, and what came out."""
LAST = "all"
"""Name of the last run."""


def folds_folder(config: TrainConfig, typed: TrainConfig | None = None) -> Path:
    """Where the runs lie: a new folder, or with --resume auto the newest of the same words.

    `typed` is the configuration in which `True` may still stand for a run.
    """
    if config.resume == "auto":
        named = [run_folder(config.output, config.name) / ASKED] if config.name else None
        files = named or list(config.output.glob(f"*/{ASKED}"))
        found = [file for file in files if file.is_file() and same_words(file, typed or config)]
        open_ones = [file for file in found if config.name or not is_done(file.parent)]
        if open_ones:
            return max(open_ones, key=lambda file: file.stat().st_mtime).parent
    folder = new_folder(config, Path(str(config.data)).name, config.model, f"{config.folds}-folds")
    with replacing(folder / ASKED) as temporary:
        save_config(config, temporary)
    return folder


def is_done(folder: Path) -> bool:
    """Whether the last run is judged, which is written down at the end."""
    file = folder / FOUND
    return file.is_file() and "test" in read_json(file)


def asked_folds(folder: Path) -> TrainConfig | None:
    """What was asked for of a folder around folds; None for any other folder. Raises RunError."""
    if not (folder / ASKED).is_file():
        return None
    try:
        return TrainConfig(**load_config(folder / ASKED))
    except ConfigError as error:
        raise RunError(f"{folder} is of another version of lacewing: {error}") from None


def fold_config(config: TrainConfig, folder: Path, fold: int) -> TrainConfig:
    """The configuration of one run; the budget is shared out evenly."""
    assert config.folds is not None
    return replace(
        config,
        fold=fold,
        output=folder,
        name=f"fold-{fold}" if fold != ALL else LAST,
        resume="auto",
        budget=config.budget and config.budget / (config.folds + 1),
    )


def last_config(config: TrainConfig, folder: Path, folds: list[dict[str, Any]]) -> TrainConfig:
    """The configuration of the last run, which has no validation images to choose by.

    What the folds chose stands in for it: the view of most of them, the middle one of their means
    of weights, only the head where fine-tuning was worse in most of them, and the middle one of
    their best epochs where most were stopped early.
    """
    last = replace(
        fold_config(config, folder, ALL),
        tta=mode(fold["view"] for fold in folds),
        # of a fold whose best epoch stayed as it was, None
        wise_ft=float(median(1.0 if fold["share"] is None else fold["share"] for fold in folds)),
    )
    best = int(median(fold["best_epoch"] for fold in folds))
    if folds[0]["recipe"] == "finetune" and best == 0 and last.wise_ft == 1:
        return replace(last, recipe="features")
    early = [fold["epochs"] < config.epochs for fold in folds]
    if folds[0]["recipe"] == "classic" and median(early) == 1 and not config.budget:
        return replace(last, epochs=max(1, best), warmup_epochs=min(last.warmup_epochs, best / 2))
    return last


def fold_row(folder: Path, fold: int) -> dict[str, Any]:
    """What a finished fold came to, from its run folder. Raises RunError."""
    run = Run(folder / f"fold-{fold}")
    results = read_json(run.results)
    judged = results.get("splits", {}).get("val")
    if judged is None:
        raise RunError(f"{run.folder} was not judged on validation images.")
    training = results.get("training", {})
    return {
        "run": run.folder.name,
        "recipe": load_config(run.config).get("recipe") or "classic",
        "view": results.get("recipe", {}).get("views", {}).get("chosen", "off"),
        "share": results.get("recipe", {}).get("blend", {}).get("chosen"),
        "best_epoch": training.get("best_epoch", 0),
        "epochs": training.get("epochs", 0),
        **{name: judged[name] for name in ("images", "top1", "f1", "loss", "confusion")},
    }
