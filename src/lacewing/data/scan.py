"""Open every file once: size, content, and whether it can be read at all."""

import contextlib
import os
import stat
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path

from lacewing.data.dhash import difference_hash
from lacewing.data.in_order import in_order
from lacewing.data.member import as_member, open_image, remote_of, stat_image
from lacewing.data.rgb import decode
from lacewing.data.scan_cache import ScanRow, State, absolute, open_scans

Progress = Callable[[int, int], None]
DRAFT_PIXELS = 96
"""Large JPEGs are decoded down to this: all their data is read, at half the time."""


@dataclass(frozen=True)
class Scanned:
    """What is known of one readable image. Sizes in pixels after EXIF rotation."""

    width: int
    height: int
    bytes: int
    hash: str
    """BLAKE2b (128 bits) of the file's bytes, hex."""
    dhash: int


@dataclass(frozen=True)
class Scan:
    """Of each path, in order: what was found out, or why the file can't be used."""

    results: list[Scanned | str]
    opened: int = 0
    """How many files were opened; the others were known from the cache."""
    notes: tuple[str, ...] = field(default=())


def scan(
    root: Path,
    paths: Sequence[str],
    *,
    cache_dir: Path | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> Scan:
    """Decode every file fully; never raises for a file.

    With `cache_dir`, what is known of an unchanged file (same path, size and time) is taken
    from there, if it was scanned with this folder or a wider one. An interrupted scan keeps what
    it has seen so far, one that is killed all but the last half minute (of millions of images
    somewhat more); files that are gone are forgotten. `progress` gets the numbers of files done
    and in total.
    """
    archives: dict[Path, os.stat_result] = {}
    states = {path: _stat(root / path, archives) for path in paths}
    there = {path: state for path, state in states.items() if not isinstance(state, str)}
    places = absolute(root, there)
    files = {places[path]: state for path, state in there.items()}
    scans = open_scans(cache_dir, files)
    results: dict[str, Scanned | str | None] = {
        path: state if isinstance(state, str) else _known(scans.known, places[path], state)
        for path, state in states.items()
    }
    missing = [path for path, result in results.items() if result is None]
    done = len(results) - len(missing)
    try:
        with contextlib.closing(_look_at((root / path for path in missing), threads)) as looks:
            for path, result in zip(missing, looks, strict=True):
                results[path] = result
                if isinstance(result, Scanned):  # a broken file is looked at again the next time
                    scans.add(places[path], _row(there[path], result))
                done += 1
                if progress is not None:
                    progress(done, len(results))
    finally:
        scans.save(files)
    if progress is not None and not missing:
        progress(done, len(results))
    lost = f"The scan could not be kept in {cache_dir}: the next run scans again."
    found = [results[path] or "not read" for path in paths]
    return Scan(found, len(missing), (lost,) if scans.lost else ())


def look_at(file: Path) -> Scanned | str:
    """What is known of one file once it has been decoded, or the reason why it can't be."""
    try:
        with open_image(file) as handle:
            size = handle.seek(0, os.SEEK_END)
            if not size:
                return "empty file"
            handle.seek(0)
            content = file_digest(handle, partial(blake2b, digest_size=16)).hexdigest()
            handle.seek(0)
            decoded = decode(handle, at_least=DRAFT_PIXELS)
    except MemoryError:
        return "too large for this machine's memory"
    except (OSError, ValueError) as error:
        return _reason(error)
    return Scanned(decoded.width, decoded.height, size, content, difference_hash(decoded.image))


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    text = str(error)
    if "cannot identify image file" in text:
        return "not an image"
    if "truncated" in text.lower():
        return "truncated"
    strerror = getattr(error, "strerror", None)
    return str(strerror or text or type(error).__name__)


def _stat(path: Path, archives: dict[Path, os.stat_result]) -> State | str:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    try:
        state = stat_image(path, archives)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "not there"
    except OSError as error:
        return _reason(error)
    if not stat.S_ISREG(state.st_mode):
        return "not a file"
    remote = remote_of(path)  # what stands in for it is written anew for each signature
    return (state.st_size, state.st_mtime_ns) if remote is None else remote.state


def _known(known: dict[str, ScanRow], place: str, state: State) -> Scanned | None:
    row = known.get(place)
    if row is None or row.state != state:
        return None
    member = as_member(place)
    size = row.bytes if member is None else member.size
    return Scanned(row.width, row.height, size, row.hash, row.dhash)


def _row(state: State, found: Scanned) -> ScanRow:
    return ScanRow(*state, found.width, found.height, found.hash, found.dhash)


def _look_at(files: Iterable[Path], threads: int) -> Generator[Scanned | str, None, None]:
    """In the files' order. An interruption drops what has not begun."""
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="scan")
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of large images; both are fine as long as they decode.
        warnings.simplefilter("ignore")
        yield from in_order(files, look_at, pool)
