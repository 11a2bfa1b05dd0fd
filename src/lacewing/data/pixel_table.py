"""What a pixel file says of itself, and which of its rows another file may copy."""

import contextlib
import mmap
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VERSION = 3
MAGIC = b"lacewing pixels"
PAGE = 4096
DONE = 1 << 32
ROW = np.dtype([("mark", "<u8"), ("start", "<u8"), ("content", "S16")])
"""Of the table; see pixel_file.py. The content is the hash of an image's file."""


@dataclass(frozen=True)
class RowElsewhere:
    """A row in another pixel file, which does not count as in use: it may go to make room."""

    path: Path
    start: int
    mark: int

    def pixels(self, height: int, width: int) -> np.ndarray | None:
        """Its pixels, uint8 [height, width, 3], read-only; None if they are damaged or gone."""
        size = 3 * height * width
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                pixels = np.frombuffer(file.read(size), np.uint8)
        except OSError:
            return None
        if len(pixels) < size or mark_of(pixels) != self.mark:
            return None
        return pixels.reshape(height, width, 3)


def layout(shapes: np.ndarray) -> tuple[np.ndarray, int]:
    """Where each row's pixels begin, int64 [rows], and the size of the file, in bytes."""
    lengths = 3 * shapes.prod(1)
    first = PAGE + -(-ROW.itemsize * len(shapes) // PAGE) * PAGE
    ends = first + np.cumsum(lengths)
    return ends - lengths, int(ends[-1]) if len(shapes) else first


def header_of(key: str, rows: int, size: int) -> bytes:
    """The first page."""
    said = b"%s %d\n%s\n%d\n%d\n" % (MAGIC, VERSION, key.encode("ascii"), rows, size)
    return said.ljust(PAGE, b"\0")


def new_table(shapes: np.ndarray, contents: Sequence[str]) -> np.ndarray:
    """The table of a file without any pixels, ROW [rows]."""
    table = np.zeros(len(shapes), ROW)
    table["start"] = layout(shapes)[0]
    table["content"] = hashes_of(contents)
    return table


def table_of(content: np.ndarray, rows: int) -> np.ndarray:
    """The table in a mapped file, ROW [rows], a view."""
    return content[PAGE : PAGE + ROW.itemsize * rows].view(ROW)


def hashes_of(contents: Sequence[str]) -> np.ndarray:
    """Content hashes, hex, as the table has them."""
    return np.array([bytes.fromhex(content) for content in contents], ROW["content"])


def mark_of(pixels: np.ndarray) -> int:
    """The mark of a row with these pixels."""
    return DONE | zlib.crc32(np.ascontiguousarray(pixels).data)


def map_bytes(descriptor: int) -> np.ndarray:
    """A whole open file, uint8, mapped into memory. Raises OSError; ValueError if empty."""
    return np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ), np.uint8)


def rows_elsewhere(
    path: Path, contents: Sequence[str], missing: np.ndarray
) -> dict[int, RowElsewhere]:
    """Rows that other pixel files beside `path` have, by the row that they are here.

    Only files made in the same way are looked at: their names begin alike. missing: bool [rows].
    """
    found: dict[int, RowElsewhere] = {}
    wanted = hashes_of(contents) if missing.any() else np.empty(0, ROW["content"])
    alike = path.parent.glob(f"{path.stem.partition('-')[0]}-*.u8")
    for other in sorted(alike) if len(wanted) else ():
        if other == path:
            continue
        # damaged, or deleted by another process
        with contextlib.suppress(OSError, ValueError, IndexError):
            table = read_table(other)
            _, here, there = np.intersect1d(wanted, table["content"], return_indices=True)
            usable = missing[here] & (table["mark"][there] != 0)
            for row, (mark, start, _) in zip(
                here[usable].tolist(), table[there[usable]].tolist(), strict=True
            ):
                found[row] = RowElsewhere(other, start, mark)
    return found


def read_table(path: Path) -> np.ndarray:
    """The table of a pixel file, ROW [rows].

    Raises OSError, and ValueError and IndexError for one that is not sound.
    """
    with path.open("rb") as file:
        lines = file.read(PAGE).split(b"\n")
        size, length = int(lines[3]), ROW.itemsize * int(lines[2])
        is_whole = PAGE + length <= size == os.fstat(file.fileno()).st_size
        if lines[0] != b"%s %d" % (MAGIC, VERSION) or not is_whole:
            raise ValueError(f"{path} is no pixel file")
        return np.frombuffer(file.read(length), ROW)
