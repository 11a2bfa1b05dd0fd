"""Open every file once: size, content, and whether it can be read at all."""

import contextlib
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from lacewing.data.dhash import difference_hash
from lacewing.data.formats import HEAD, format_of, is_heic
from lacewing.data.in_order import in_order
from lacewing.data.index import SCHEMA
from lacewing.data.member import open_image
from lacewing.data.named_files import find_files, reason_of
from lacewing.data.rgb import decode, known_formats
from lacewing.data.scan_cache import ScanRow, Scans, known_scans

Progress = Callable[[int, int], None]
DRAFT_PIXELS = 96
"""Large JPEGs are decoded down to this: all their data is read, at half the time."""


class Scanned(NamedTuple):
    """What is known of one readable image. Sizes in pixels after EXIF rotation."""

    width: int
    height: int
    bytes: int
    hash: str
    """BLAKE2b (128 bits) of the file's bytes, hex."""
    dhash: int


SCANNED = pa.schema([SCHEMA.field(name) for name in Scanned._fields])


@dataclass(frozen=True)
class Scan:
    """What was found out of some paths, a column each: there may be millions."""

    rows: np.ndarray
    """Which of the paths are readable images, int64 [images], ascending."""
    table: pa.Table
    """What is known of these, in their order: SCANNED."""
    reasons: dict[int, str]
    """Of each other path, by its row, in order: why it can't be used."""
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
    files = find_files(root, paths)
    is_known, known = known_scans(cache_dir, files)
    scans = Scans(cache_dir, files.folder)
    missing = np.flatnonzero(~is_known).tolist()
    images = (root / paths[files.rows[file]] for file in missing)
    new: dict[int, Scanned] = {}
    reasons = dict(files.reasons)
    done = len(paths) - len(missing)
    try:
        with contextlib.closing(_look_at(images, threads)) as looks:
            for file, result in zip(missing, looks, strict=True):
                row = int(files.rows[file])
                if isinstance(result, Scanned):
                    new[row] = result
                    place = os.fsdecode(files.places[file].as_py())
                    scans.add(place, _row(files.states[file], result))
                else:  # a broken file is looked at again the next time
                    reasons[row] = result
                done += 1
                if progress is not None:
                    progress(done, len(paths))
    finally:
        scans.save(files)
    if progress is not None and not missing:
        progress(done, len(paths))
    columns = {name: known[name] for name in SCANNED.names}
    columns["bytes"] = pa.array(files.image_bytes[is_known])
    old = pa.table(columns, schema=SCANNED)
    rows, table = _together(files.rows[is_known], old, new)
    lost = f"The scan could not be kept in {cache_dir}: the next run scans again."
    sorted_reasons = dict(sorted(reasons.items()))
    return Scan(rows, table, sorted_reasons, len(missing), (lost,) if scans.lost else ())


def look_at(file: Path) -> Scanned | str:
    """What is known of one file once it has been decoded, or the reason why it can't be."""
    head = b""
    try:
        with open_image(file) as handle:
            size = handle.seek(0, os.SEEK_END)
            if not size:
                return "empty file"
            handle.seek(0)
            head = handle.read(HEAD)
            handle.seek(0)
            content = file_digest(handle, partial(blake2b, digest_size=16)).hexdigest()
            handle.seek(0)
            decoded = decode(handle, at_least=DRAFT_PIXELS)
    except MemoryError:
        return "too large for this machine's memory"
    except (OSError, ValueError) as error:
        return _reason(error, head)
    return Scanned(decoded.width, decoded.height, size, content, difference_hash(decoded.image))


def _reason(error: OSError | ValueError, head: bytes) -> str:
    if is_heic(head):
        return "a HEIC photo: convert it to JPEG"
    text = "" if isinstance(error, PermissionError) else str(error)
    if "cannot identify image file" in text:
        is_avif = format_of(head) == "AVIF" and "AVIF" not in known_formats()
        return "an AVIF photo: convert it to JPEG" if is_avif else "not an image"
    return "truncated" if "truncated" in text.lower() else reason_of(error)


def _row(state: np.ndarray, found: Scanned) -> ScanRow:
    size, time = state.tolist()
    return ScanRow(size, time, found.width, found.height, found.hash, found.dhash)


def _together(
    rows: np.ndarray, old: pa.Table, new: dict[int, Scanned]
) -> tuple[np.ndarray, pa.Table]:
    """Images from the cache, of these rows, and new ones in one table; all by their rows."""
    if not new:  # nearly always, and there may be millions
        return rows, old
    columns = zip(*new.values(), strict=True)
    added = pa.table(dict(zip(SCANNED.names, map(list, columns), strict=True)), schema=SCANNED)
    rows = np.concatenate([rows, np.fromiter(new, np.int64, len(new))])
    order = np.argsort(rows, kind="stable")
    return rows[order], pa.concat_tables([old, added]).take(pa.array(order))


def _look_at(files: Iterable[Path], threads: int) -> Generator[Scanned | str, None, None]:
    """In the files' order. An interruption drops what has not begun."""
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="scan")
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of large images; both are fine as long as they decode.
        warnings.simplefilter("ignore")
        yield from in_order(files, look_at, pool)
