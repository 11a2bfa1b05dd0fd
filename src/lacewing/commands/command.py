"""Command: a name on the command line, its flags, and what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lacewing.errors import ConfigError
from lacewing.flags import Flag, Given


@dataclass(frozen=True)
class Command:
    """One command of `lacewing`."""

    about: str
    """What it does, one sentence."""
    flags: Callable[[], tuple[Flag, ...]]
    run: Callable[[Given], int]
    """Does it, and returns the exit code. Raises LacewingError."""
    together: bool = False
    """Whether several processes may be started with it, as torchrun and srun do."""
    without_torch: bool = False
    """Whether nothing of lacewing loads PyTorch for it."""


def check_target(file: Path) -> None:
    """Raise ConfigError, before any work is done, for an --out that can't be written."""
    if file.is_dir():
        raise ConfigError(f"--out names a file, but {file} is a folder.")
    if not file.parent.is_dir():
        raise ConfigError(f"--out: there is no folder {file.parent} to write {file.name} into.")
