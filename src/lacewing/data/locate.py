"""From what stands after `--data` to a folder, a CSV or a shard."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lacewing.data.archive import Progress, is_archive, unpack
from lacewing.data.cache import COPIED, DRAWN
from lacewing.data.hub import PREFIX, hub_name, shards_of_hub
from lacewing.data.listing import subfolders
from lacewing.data.parquet import are_photos, parquet_files, shards_of_parquet
from lacewing.data.remote.address import is_address, remote_name
from lacewing.data.remote.server import READERS
from lacewing.data.remote.stand_in import describe_place, stand_ins
from lacewing.data.shards import is_shard
from lacewing.errors import DataError
from lacewing.store.made_once import made_once

IP102 = re.compile(
    r"ip[-_]?102(_v1[._]1)?([-_(. ]*\d*\)?)(\.tar)?((-[0-9a-f]{8})?\.unpacked)?", re.IGNORECASE
)
D0 = re.compile(r"(unzip_)?d0(\.tar)?", re.IGNORECASE)

RELEASES = {
    "IP102": (
        IP102,
        "Put its release into one of these folders: ip102_v1.1 with images/, train.txt, val.txt "
        "and test.txt, or ip102_v1.1.tar as it is; it is at https://github.com/xpwu95/IP102, for "
        "academic use only",
    ),
    "D0": (
        D0,
        "Put it into one of these folders: unzip_D0 with train/, valid/ and test/ and a folder "
        "per class in each",
    ),
}
"""Data sets that have a name: how their folders are called, what they look like."""

SAMPLE = "sample"


@dataclass(frozen=True)
class Place:
    """A folder, CSV or shard, and what to call the data set."""

    path: Path
    name: str
    notes: tuple[str, ...] = ()
    readers: int = 1
    """Threads that it takes at least to read it: a server lets each of them wait."""


def locate(
    data: str,
    *,
    data_root: Path | None,
    cache: Path,
    draw_sample: Callable[[Path], None] | None,
    progress: Progress | None,
) -> Place:
    """The place of a data set given by path or by name.

    A name is looked for, whatever its case, in the current folder, ./data, `data_root` and
    $LACEWING_DATA. Raises DataError where there is none, saying where it was looked for.
    """
    if data.lower() == SAMPLE and draw_sample is not None:
        return Place(_sample(cache, draw_sample), SAMPLE)
    if data.startswith(PREFIX):
        wanted = hub_name(data)
        return _copied(shards_of_hub(wanted, cache, progress), wanted.short, data)
    if is_address(data):
        folder = stand_ins(data)
        return Place(folder, remote_name(data), (describe_place(folder),), READERS)
    path = must_find(data, data_root)
    name = _name_of(data, path)
    if path.is_dir() and holds_parquet(path):
        return _copied(shards_of_parquet(path, cache, progress), name, str(path))
    if path.is_dir():
        return Place(path, name)
    if path.suffix == ".tar" and is_shard(path):
        return Place(path, name)
    if is_archive(path):
        folder = unpack(path, cache, progress)
        return Place(folder, name, (f"{path.name} was unpacked into {folder}.",))
    if path.suffix.lower() in (".csv", ".tsv"):
        return Place(path, name)
    hint = "unpack it first" if path.suffix.lower() in (".zip", ".rar", ".7z") else "give one"
    raise DataError(f"{path} is neither a folder nor a .csv or .tar file: {hint}.")


def holds_parquet(folder: Path) -> bool:
    """Whether a folder's images are in parquet files; beside folders they may be about them."""
    files = parquet_files(folder)
    others = [sub for sub in subfolders(folder) if sub.name != "data"]
    return bool(files) and (not others or are_photos(files))


def _copied(folder: Path, name: str, source: str) -> Place:
    said = (folder / COPIED).read_text(encoding="utf-8")
    notes = (f"The images of {source} were copied into {folder}.",)
    return Place(folder, name, (*notes, said) if said else notes)


def check_there(data: str, data_root: Path | None) -> None:
    """Raise DataError where a path or a name leads nowhere; servers and hubs are not asked."""
    if data.lower() != SAMPLE and not data.startswith(PREFIX) and not is_address(data):
        must_find(data, data_root)


def must_find(data: str, data_root: Path | None) -> Path:
    """`find_path`; raises DataError where there is none, saying where it was looked for."""
    path = find_path(data, data_root)
    if path is None:
        raise DataError(_not_found(data, data_root))
    return path


def find_path(data: str, data_root: Path | None) -> Path | None:
    """The folder or file of a path or a name; None where there is none."""
    return _given(data) or _named(data, data_root)


def _given(data: str) -> Path | None:
    try:
        path = Path(data).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError) as error:  # no permission, no such user, too long
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"The data set {data[:200]!r} can't be reached: {reason}.") from None


def search_places(data_root: Path | None) -> list[Path]:
    """Where named data sets are looked for, in this order."""
    variable = os.environ.get("LACEWING_DATA", "").strip()
    places = [Path(), Path("data")]
    places += [data_root] if data_root is not None else []
    places += [Path(variable).expanduser()] if variable else []
    return places


def _named(name: str, data_root: Path | None) -> Path | None:
    if not name.strip() or "/" in name or "\\" in name:
        return None
    for place in search_places(data_root):
        found = [entry for entry in _entries(place) if _is_called(entry.name, name)]
        if found:
            return min(found, key=_preference)
        if place != Path() and place.is_dir() and _is_called(place.name, name):
            return place
    return None


def _preference(entry: Path) -> tuple[bool, bool, str]:
    """Folders first, then archives, then what was unpacked from them, which may be older.

    Of that, what a later state of the archive held is the first: `-` is before `.`.
    """
    return entry.name.endswith(".unpacked"), not entry.is_dir(), entry.name


def _entries(place: Path) -> list[Path]:
    try:
        return [entry for entry in place.iterdir() if entry.is_dir() or entry.is_file()]
    except OSError:  # a place that is not there, or not for us, holds nothing
        return []


def _is_called(file: str, name: str) -> bool:
    for release, (pattern, _) in RELEASES.items():
        if name.lower() == release.lower():
            return bool(pattern.fullmatch(file))
    return file.lower() in (name.lower(), f"{name.lower()}.csv", f"{name.lower()}.tar")


def _name_of(data: str, path: Path) -> str:
    for candidate in (data, path.name):
        for release, (pattern, _) in RELEASES.items():
            if pattern.fullmatch(candidate):
                return release
    name = path.resolve().name
    return re.sub(r"\.(csv|tsv|tar|tgz|tar\.\w+)$", "", name, flags=re.IGNORECASE) or "data"


def _not_found(data: str, data_root: Path | None) -> str:
    release = next((text for name, (_, text) in RELEASES.items() if name == data.upper()), None)
    if release is None:
        if "/" in data or "\\" in data:
            return f"There is no folder or file {data}."
        searched = ", ".join(str(place.resolve()) for place in search_places(data_root))
        return f"There is no data set {data!r}; looked in {searched}."
    searched = ", ".join(str(place.resolve()) for place in search_places(data_root))
    return f"{data} was not found in {searched}. {release}."


def _sample(cache: Path, draw: Callable[[Path], None]) -> Path:
    """The sample's folder in the cache, drawn the first time."""
    folder = cache / SAMPLE
    if (folder / DRAWN).exists():
        return folder
    try:
        with made_once(folder, lambda made: (made / DRAWN).exists()) as temporary:
            draw(temporary)
            (temporary / DRAWN).touch()
    except OSError as error:
        raise DataError(f"The sample can't be drawn into {folder}: {error.strerror}.") from None
    return folder
