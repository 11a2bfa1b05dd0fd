"""Cross-validation: the runs that it is made of, and where they stand."""

from dataclasses import asdict, dataclass, replace
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


@dataclass(frozen=True)
class Taken:
    """How the last run, which has no images to calibrate on, changes its head: as the folds did."""

    tau: float
    """Strength of the logit adjustment, the middle one of the folds'; so is `temperature`."""
    temperature: float
    folds: int
    """That were calibrated."""

    def as_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)


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

    What the folds chose stands in for it: the view and the recipe of most of them, and of the folds
    of that recipe the middle one of their means of weights, only the head where fine-tuning was
    worse in most, and the middle one of their best epochs where most were stopped early. See
    `taken_from_folds` for its calibration.
    """
    last = replace(fold_config(config, folder, ALL), tta=mode(fold["view"] for fold in folds))
    recipe = mode(fold["recipe"] for fold in folds)
    alike = [fold for fold in folds if fold["recipe"] == recipe]
    share = median(share_of(fold) for fold in alike)
    if recipe == "features" or (recipe == "finetune" and share == 0):
        return replace(last, recipe="features")
    if recipe == "finetune":
        return replace(last, wise_ft=float(share))
    whole = min(config.epochs, config.limit_epochs or config.epochs)
    early = [fold["epochs"] < whole for fold in alike]
    if median(early) == 1 and not config.budget:
        best = int(median(fold["best_epoch"] for fold in alike))
        return replace(last, epochs=max(1, best), warmup_epochs=min(last.warmup_epochs, best / 2))
    return last


def share_of(fold: dict[str, Any]) -> float:
    """Of the fine-tuned weights in a fold's model: none in the head as it was fitted."""
    if fold["share"] is not None:
        return float(fold["share"])
    return 1.0 if fold["best_epoch"] else 0.0


def taken_from_folds(folder: Path) -> Taken | None:
    """What the folds around a last run were calibrated with; None where none was. Raises RunError.

    They stand in folds.json, which is written before the last run begins.
    """
    calibrated = [row for row in rows_found(folder) if row.get("temperature") is not None]
    if not calibrated:
        return None
    return Taken(
        tau=float(median(row["tau"] for row in calibrated)),
        temperature=float(median(row["temperature"] for row in calibrated)),
        folds=len(calibrated),
    )


def none_below_of_folds(folder: Path) -> float | None:
    """The middle one of the confidences below which the folds call an answer none of the classes.

    None where no fold could tell. Raises RunError.
    """
    bounds = (row.get("none_below") for row in rows_found(folder))
    known = [bound for bound in bounds if bound is not None]
    return float(median(known)) if known else None


def rows_found(folder: Path) -> list[dict[str, Any]]:
    """What the folds around a last run came to; [] where there are none. Raises RunError."""
    file = folder / FOUND
    return list(read_json(file).get("folds", [])) if file.is_file() else []


def fold_row(folder: Path, fold: int) -> dict[str, Any]:
    """What a finished fold came to, from its run folder. Raises RunError."""
    run = Run(folder / f"fold-{fold}")
    results = read_json(run.results)
    judged = results.get("splits", {}).get("val")
    if judged is None:
        raise RunError(f"{run.folder} was not judged on validation images.")
    training, stages = results.get("training", {}), results.get("recipe", {})
    return {
        "run": run.folder.name,
        "recipe": load_config(run.config).get("recipe") or "classic",
        "view": stages.get("views", {}).get("chosen", "off"),
        "share": stages.get("blend", {}).get("chosen"),
        "tau": stages.get("polish", {}).get("tau"),
        "temperature": stages.get("polish", {}).get("temperature"),
        "none_below": results.get("none_below"),
        "best_epoch": training.get("best_epoch", 0),
        "epochs": training.get("epochs", 0),
        **{name: judged[name] for name in ("images", "top1", "f1", "loss", "confusion")},
    }
