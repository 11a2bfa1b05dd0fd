"""Cross-validation: one run after another, in a folder around them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lacewing import console
from lacewing.config import TrainConfig
from lacewing.errors import ConfigError
from lacewing.hardware.ranks import Ranks
from lacewing.results.folds import add_test, show_folds, summarise, write_folds
from lacewing.running.outcome import TrainedRun
from lacewing.training.folds import fold_config, fold_row, last_config


def carry_out_folds(
    config: TrainConfig, folder: Path, train: Callable[[TrainConfig], TrainedRun]
) -> TrainedRun:
    """Every fold's run and the last one, in a folder around them; finished ones are passed over.

    Returns the last run, or where it was interrupted the folder, which can be resumed.
    """
    assert config.folds is not None
    for fold in range(1, config.folds + 1):
        console.heading(f"Fold {fold} of {config.folds}")
        run = train(fold_config(config, folder, fold))
        if not run.finished:
            return replace(run, folder=folder)
    rows = [fold_row(folder, fold) for fold in range(1, config.folds + 1)]
    found = summarise(rows)
    write_folds(folder, found)
    show_folds(found)
    console.heading("The last run, on all training and validation images")
    last = train(last_config(config, folder, rows))
    if not last.finished:
        return replace(last, folder=folder)
    add_test(folder, last.folder)
    return last


def refuse_several(ranks: Ranks) -> None:
    """Raise ConfigError: folds are runs of one process, one after another."""
    if ranks.world > 1:
        raise ConfigError(
            "--folds trains one run after another in one process: start it without torchrun or "
            "srun, or each fold by itself with --fold."
        )
