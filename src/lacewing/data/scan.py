"""Open every file once: size, content, and whether it can be read at all."""

import contextlib
import os
import stat
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path

from lacewing.data.dhash import difference_hash
from lacewing.data.member import as_member, open_image, stat_image
from lacewing.data.rgb import decode
from lacewing.data.scan_cache import ScanKey, load_scans, save_scans

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
    from there. An interrupted scan keeps what it has seen so far. `progress` gets the numbers
    of files done and in total.
    """
    known = load_scans(cache_dir, root) if cache_dir is not None else {}
    archives: dict[Path, os.stat_result] = {}
    stats = [_stat(root / path, archives) for path in paths]
    results: list[Scanned | str | None] = [
        state if isinstance(state, str) else _known(known, path, state)
        for path, state in zip(paths, stats, strict=True)
    ]
    missing = [position for position, result in enumerate(results) if result is None]
    done = len(paths) - len(missing)
    notes: tuple[str, ...] = ()
    try:
        files = [root / paths[position] for position in missing]
        with contextlib.closing(_look_at(files, threads)) as looks:
            for position, result in zip(missing, looks, strict=True):
                results[position] = result
                done += 1
                if progress is not None:
                    progress(done, len(paths))
    finally:
        if cache_dir is not None and missing:
            notes = _keep(cache_dir, root, paths, stats, results)
    if progress is not None and not missing:
        progress(done, len(paths))
    return Scan([result or "not read" for result in results], len(missing), notes)


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


def _stat(path: Path, archives: dict[Path, os.stat_result]) -> os.stat_result | str:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    try:
        state = stat_image(path, archives)
    except (OSError, ValueError):
        return "not there"
    return state if stat.S_ISREG(state.st_mode) else "not a file"


def _known(
    known: dict[ScanKey, tuple[int, int, str, int]], path: str, state: os.stat_result
) -> Scanned | None:
    row = known.get((path, state.st_size, state.st_mtime_ns))
    member = as_member(path)
    size = state.st_size if member is None else member.size
    return Scanned(row[0], row[1], size, row[2], row[3]) if row else None


def _look_at(files: list[Path], threads: int) -> Generator[Scanned | str, None, None]:
    """In the files' order. An interruption drops what has not begun."""
    if not files:
        return
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="scan")
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of large images; both are fine as long as they decode.
        warnings.simplefilter("ignore")
        try:
            yield from pool.map(look_at, files)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _keep(
    cache_dir: Path,
    root: Path,
    paths: Sequence[str],
    stats: list[os.stat_result | str],
    results: Sequence[Scanned | str | None],
) -> tuple[str, ...]:
    """Save what is readable; a file that isn't is looked at again the next time."""
    rows = {
        (path, state.st_size, state.st_mtime_ns): (
            found.width,
            found.height,
            found.hash,
            found.dhash,
        )
        for path, state, found in zip(paths, stats, results, strict=True)
        if isinstance(found, Scanned) and not isinstance(state, str)
    }
    with contextlib.suppress(OSError):
        save_scans(cache_dir, root, rows)
        return ()
    return (f"The scan could not be kept in {cache_dir}: the next run scans again.",)
