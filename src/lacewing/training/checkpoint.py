"""Checkpoints: a folder written anew each time, then a pointer renamed onto it.

`checkpoints/step-00001200/{model,optimizer}.safetensors, state.json`; LAST names the newest
complete one. No pickle: a checkpoint from a stranger can run no code.
"""

import json
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lacewing.errors import RunError
from lacewing.store.atomic import sync_folder, write_text
from lacewing.store.run import Run
from lacewing.training.state import Snapshot

KEEP = 2
"""Complete checkpoints that are kept."""


def save_checkpoint(run: Run, snapshot: Snapshot, step: int) -> Path:
    """Write a checkpoint and point LAST at it; raises OSError where the disk refuses."""
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    final = run.checkpoints / f"step-{step:08d}"
    temporary = run.checkpoints / f".{final.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        save_file(snapshot.model, temporary / "model.safetensors")
        save_file(snapshot.optimizer, temporary / "optimizer.safetensors")
        (temporary / "state.json").write_text(json.dumps(snapshot.plain), encoding="utf-8")
        for file in temporary.iterdir():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
        sync_folder(temporary)
        if final.exists():  # the same step again, after a resume: the new one is complete
            shutil.rmtree(final)
        temporary.rename(final)
        sync_folder(run.checkpoints)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    write_text(run.last, final.name + "\n")
    prune(run)
    return final


def prune(run: Run) -> None:
    """Remove all but the newest checkpoints."""
    for old in sorted(run.checkpoints.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)


def newest(run: Run) -> Path:
    """The folder that LAST names. Raises RunError if there is none."""
    try:
        folder = run.checkpoints / run.last.read_text(encoding="utf-8").strip()
    except OSError:
        raise RunError(
            f"{run.folder} has no checkpoint: it was stopped before the first one, or run with "
            "--save-checkpoints False; start it anew."
        ) from None
    if not folder.is_dir():
        raise RunError(f"{run.last} names {folder.name}, but {run.checkpoints} has no such folder.")
    return folder


def load_checkpoint(run: Run) -> Snapshot:
    """The newest complete checkpoint. Raises RunError if there is none or it is damaged."""
    folder = newest(run)
    try:
        plain = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return Snapshot(
            load_file(folder / "model.safetensors"),
            load_file(folder / "optimizer.safetensors"),
            plain,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise RunError(f"The checkpoint {folder} is damaged: {error}.") from None
