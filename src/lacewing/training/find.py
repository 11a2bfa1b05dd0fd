"""Find a run among others: the newest of a data set and network, or the unfinished one."""

import contextlib
from dataclasses import replace
from pathlib import Path

from lacewing.config import TrainConfig, load_config
from lacewing.errors import ConfigError, RunError
from lacewing.store.run import Run, read_lines
from lacewing.training.begin import run_folder
from lacewing.training.checkpoint import complete
from lacewing.training.history import is_done
from lacewing.training.lock import locked

NOT_COMPARED = (
    "output",
    "resume",
    "accept_changed_data",
    "checkpoint_seconds",
    "tensorboard",
    "log",
)
"""Fields that make no other run of it."""


def find_run(output: Path, data: str | None, model: str, *, needs_model: bool = False) -> Path:
    """The newest run of these data and this model in `output`, of those with weights if needed.

    Raises RunError.
    """
    found = []
    for file in output.glob("*/config.yaml") if output.is_dir() else ():
        if needs_model and not Run(file.parent).model.is_file():
            continue
        with contextlib.suppress(ConfigError):  # damaged, or of a version with other fields
            config = load_config(file)
            if config.get("data") == data and config.get("model") == model:
                found.append(file)
    if not found:
        raise RunError(
            f"{output} holds no run of {model} on {data}: name the run folder instead of True."
        )
    return max(found, key=lambda file: file.stat().st_mtime).parent


def find_named_runs(config: TrainConfig) -> TrainConfig:
    """`True` for a checkpoint or a model means the newest run of this data and network."""
    if config.load_checkpoint is True:
        run = find_run(config.output, config.data, config.model)
        return replace(config, load_checkpoint=run)
    if config.load_model is True:
        run = find_run(config.output, config.data, config.model, needs_model=True)
        return replace(config, load_model=run)
    return config


def find_unfinished(config: TrainConfig) -> Path | None:
    """The newest run in `config.output` that was asked for in the same words and is not done.

    None if there is none that can be resumed.
    """
    found = [
        file
        for file in config.output.glob("*/asked.yaml")
        if same_words(file, config) and complete(Run(file.parent)) and not is_done(Run(file.parent))
    ]
    return max(found, key=lambda file: file.stat().st_mtime).parent if found else None


def find_done(config: TrainConfig) -> Path | None:
    """The run of the configuration's --name, if it was asked for in the same words and is done."""
    if config.name is None:
        return None
    run = Run(run_folder(config.output, config.name))
    return run.folder if same_words(run.asked, config) and is_done(run) else None


def clear_way(config: TrainConfig) -> None:
    """Rename the run of the configuration's --name if it was killed before its first checkpoint.

    Nothing can be resumed there, and the same command is to begin anew under the name.
    """
    if config.name is None:
        return
    folder = run_folder(config.output, config.name)
    if not folder.is_dir() or complete(Run(folder)):
        return
    empty = all(file.name.startswith(f".{Run(folder).asked.name}") for file in folder.iterdir())
    if empty or same_words(Run(folder).asked, config):
        set_aside(Run(folder))


def set_aside(run: Run) -> None:
    """Rename a run's folder to `<name>-killed-<number>`. Raises RunError if it is in use."""
    folder = run.folder
    number = len(list(folder.parent.glob(f"{folder.name}-killed-*"))) + 1
    with locked(run):
        pass  # nobody works there; Windows renames no folder in which a file is open
    folder.rename(folder.with_name(f"{folder.name}-killed-{number}"))


def begin_again(folder: Path) -> TrainConfig | None:
    """What a run was asked for that was cut off before its first checkpoint; None for others.

    It is set aside, so that a run of the same words and name can begin in its place. Raises
    RunError if it is in use.
    """
    run = Run(folder)
    try:
        asked = TrainConfig(**load_config(run.asked))
    except ConfigError:  # no run, or one of a version with other fields: `reopen` tells which
        return None
    has_begun = any(row.get("epoch") for row in read_lines(run.metrics))
    if has_begun or complete(run) or is_done(run) or not asked.save_checkpoints:
        return None
    set_aside(run)
    return replace(asked, name=folder.name, output=folder.parent, resume="never")


def same_words(file: Path, config: TrainConfig) -> bool:
    """Whether a run's asked.yaml holds this configuration.

    `--load-model True` is the same, whichever run it meant then.
    """
    try:
        asked = TrainConfig(**load_config(file))
    except ConfigError:  # none there, or of a version with other fields
        return False
    usual = {name: getattr(config, name) for name in NOT_COMPARED}
    if config.load_model is True and asked.load_model:
        usual["load_model"] = True
    return replace(asked, **usual) == config
