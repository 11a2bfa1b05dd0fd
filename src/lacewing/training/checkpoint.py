"""Checkpoints: a folder written anew each time, complete once it has its name.

`checkpoints/step-00001200/{model,optimizer,best,average}.safetensors, state.json, manifest.json`.
The manifest, written last, has the size and checksum of each file, so a damaged checkpoint is
recognised and the one before it taken. No pickle: a checkpoint from a stranger can run no code.
"""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from hashlib import blake2b, file_digest
from itertools import count
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lacewing.errors import RunError
from lacewing.parsing import parse_json
from lacewing.store.atomic import sync_file, sync_folder, write_text
from lacewing.store.run import Run
from lacewing.training.state import Snapshot

KEEP = 2
"""Complete checkpoints that are kept."""
VERSION = 1
MANIFEST = "manifest.json"
TENSORS = ("model", "optimizer", "best", "average")


class DamagedError(Exception):
    """A checkpoint that is not what was written; the text says in what."""


def save_checkpoint(run: Run, snapshot: Snapshot) -> Path:
    """Write a checkpoint and point LAST at it; raises OSError where the disk refuses."""
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    final = free_name(run, snapshot.step)
    temporary = run.checkpoints / f".{final.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        fill(temporary, snapshot)
        temporary.rename(final)
        sync_folder(run.checkpoints)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    write_text(run.last, final.name + "\n")
    prune(run)
    return final


def free_name(run: Run, step: int) -> Path:
    """A folder that is not there yet: a second checkpoint of a step does not touch the first."""
    name = f"step-{step:08d}"
    names = (run.checkpoints / (f"{name}.{again}" if again else name) for again in count())
    return next(folder for folder in names if not folder.exists())


def fill(folder: Path, snapshot: Snapshot) -> None:
    """Write a snapshot's files and their manifest, all flushed to the disk. Raises OSError."""
    save_tensors(snapshot.model, folder / "model.safetensors")
    save_tensors(snapshot.optimizer, folder / "optimizer.safetensors")
    if snapshot.best:
        save_tensors(snapshot.best, folder / "best.safetensors")
    if snapshot.average:
        save_tensors(snapshot.average, folder / "average.safetensors")
    (folder / "state.json").write_text(json.dumps(snapshot.plain), encoding="utf-8")
    files = {file.name: described(file) for file in sorted(folder.iterdir())}
    manifest = json.dumps({"version": VERSION, "files": files}, indent=2)
    (folder / MANIFEST).write_text(manifest, encoding="utf-8")
    for file in folder.iterdir():
        sync_file(file)
    sync_folder(folder)


def save_tensors(tensors: dict[str, Tensor], file: Path) -> None:
    """Write one .safetensors file. Raises OSError, also where the library has its own error."""
    try:
        save_file(tensors, file)
    except SafetensorError as error:
        raise OSError(f"{file} can't be written: {error}") from None


def described(file: Path) -> dict[str, Any]:
    """What the manifest says of a file: its size in bytes and its BLAKE2b (128 bits), hex."""
    with file.open("rb") as opened:
        digest = file_digest(opened, partial(blake2b, digest_size=16)).hexdigest()
    return {"bytes": file.stat().st_size, "blake2b": digest}


def prune(run: Run) -> None:
    """Remove all but the newest checkpoints, and what crashes have left of others."""
    own = f".{os.getpid()}.tmp"
    left = [f for f in run.checkpoints.glob(".step-*.tmp") if not f.name.endswith(own)]
    for old in [*complete(run)[KEEP:], *run.checkpoints.glob("damaged-*"), *left]:
        shutil.rmtree(old, ignore_errors=True)


def complete(run: Run) -> list[Path]:
    """The checkpoints' folders, the newest first."""
    return sorted(run.checkpoints.glob("step-*"), key=age, reverse=True)


def age(folder: Path) -> tuple[str, int]:
    """Step, and number among the checkpoints of this step."""
    name, _, again = folder.name.partition(".")
    return name, int(again) if again.isdigit() else 0


def forget_newer(run: Run, step: int) -> None:
    """Remove the checkpoints of later steps: the run went back behind them."""
    for folder in complete(run):
        if age(folder)[0] > f"step-{step:08d}":
            shutil.rmtree(folder, ignore_errors=True)


def load_checkpoint(run: Run, warn: Callable[[str], None] = lambda _: None) -> Snapshot:
    """The newest checkpoint that is whole; `warn` gets a sentence for each that is not.

    Raises RunError if there is none.
    """
    damaged = []
    for folder in complete(run):
        try:
            return read_checkpoint(folder)
        except DamagedError as error:
            damaged.append(f"The checkpoint {folder} is damaged: {error}")
            set_aside(folder)
            warn(f"{damaged[-1]}; the one before it is used.")
    if damaged:
        raise RunError(f"{damaged[0]}, and there is no other: start the run anew.")
    raise RunError(
        f"{run.folder} has no checkpoint: it was stopped before the first one, or run with "
        "--save-checkpoints False; start it anew."
    )


def set_aside(folder: Path) -> None:
    """Rename a damaged checkpoint, so that it counts as none; the next one written removes it."""
    target = folder.with_name(f"damaged-{folder.name}")
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)


def read_checkpoint(folder: Path) -> Snapshot:
    """A checkpoint whose files are what its manifest says.

    Raises DamagedError, and RunError where another version wrote it.
    """
    try:
        check_files(folder)
        plain = parse_json((folder / "state.json").read_text(encoding="utf-8"))
        parts = {
            name: load_file(file)
            for name in TENSORS
            if (file := folder / f"{name}.safetensors").is_file()
        }
        return Snapshot(plain=plain, **parts)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DamagedError(str(error) or type(error).__name__) from None


def check_files(folder: Path) -> None:
    """Raise DamagedError if a file is not what the manifest says, RunError for another format."""
    manifest = parse_json((folder / MANIFEST).read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise DamagedError(f"its {MANIFEST} names no files")
    if manifest.get("version") != VERSION:
        raise RunError(
            f"The checkpoint {folder} was written by another version of lacewing: resume the run "
            "with that version."
        )
    for name, expected in manifest["files"].items():
        if Path(name).name != name:
            raise DamagedError(f"its {MANIFEST} names {name!r}")
        if described(folder / name) != expected:
            raise DamagedError(f"{name} is not what was written")
