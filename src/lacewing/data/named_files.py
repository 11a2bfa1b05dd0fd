"""Which of some named files are there, where they really lie, and in what state they are."""

import os
import stat
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from lacewing.data.member import as_member, stat_image
from lacewing.data.remote.stand_in import remote_shard


@dataclass(frozen=True)
class NamedFiles:
    """The files that are there, one in each row of every column: there may be millions."""

    rows: np.ndarray
    """Which of the named paths each is, int64 [files], ascending."""
    places: pa.Array
    """Absolute paths as the system spells them, which need not be UTF-8: bytes [files]."""
    folder: str
    """The deepest one that holds all of them."""
    states: np.ndarray
    """int64 [files, 2]: size in bytes and time of the last change, in nanoseconds; of one on a
    server a number for its version. Of an image in a tar file they are those of the tar file."""
    image_bytes: np.ndarray
    """The size of each image itself, int64 [files]."""
    reasons: dict[int, str]
    """Why the other paths can't be used, by their row."""


def find_files(root: Path, paths: Sequence[str]) -> NamedFiles:
    """Ask for the state of every file; never raises for one."""
    archives: dict[Path, os.stat_result] = {}
    found = array("q")  # four numbers of each file
    reasons: dict[int, str] = {}
    for row, path in enumerate(paths):
        file = os.path.join(root, path)  # noqa: PTH118 (a Path takes five times as long)
        state = _state(file, archives)
        if isinstance(state, str):
            reasons[row] = state
        else:
            found.extend((row, *state))
    numbers = np.array(found, np.int64).reshape(-1, 4)
    rows = numbers[:, 0]
    folders: dict[str, str] = {}
    places = absolute(root, (paths[row] for row in rows), folders)
    spelt = pa.array(map(os.fsencode, places), pa.large_binary(), size=len(rows))
    folder = common_folder(folders.values())
    return NamedFiles(rows, spelt, folder, numbers[:, 1:3], numbers[:, 3], reasons)


def absolute(root: Path, paths: Iterable[str], folders: dict[str, str]) -> Iterator[str]:
    """The absolute path of each path, or of its tar file, in a folder that no link leads to.

    `folders` keeps where each folder really is, so that each is asked for once.
    """
    for path in paths:
        # without a member's name; where there is none, without the last letter, which is no slash
        name = path.rfind("/", 0, path.find(".tar::")) + 1
        folder = path[:name]
        if folder not in folders:
            folders[folder] = os.path.realpath(root / folder)
        yield f"{folders[folder]}{os.sep}{path[name:]}"


def common_folder(folders: Iterable[str]) -> str:
    """The deepest folder that holds all of some folders; "" where there is none."""
    try:
        return os.path.commonpath(set(folders))
    except ValueError:  # there are none, or they lie on two drives of Windows
        return ""


def reason_of(error: OSError | ValueError) -> str:
    """Why a file can't be read, in a few words."""
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _state(path: str, archives: dict[Path, os.stat_result]) -> tuple[int, int, int] | str:
    """The state of a file and the size of its image, or why it can't be used."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    try:
        state = stat_image(path, archives)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "not there"
    except OSError as error:
        return reason_of(error)
    if not stat.S_ISREG(state.st_mode):
        return "not a file"
    member = as_member(path)
    if member is None:
        return state.st_size, state.st_mtime_ns, state.st_size
    remote = remote_shard(member.archive)  # its stand-in is written anew for each signature
    return (*(remote.state if remote else (state.st_size, state.st_mtime_ns)), member.size)
