"""Decoded pixels in a file that outlives the run and is shared between runs.

    header 4096 bytes | marks: uint64 a row, padded to 4096 | pixels of all rows

A row's mark is 0, or 2^32 plus the CRC32 of its pixels; it is written after them. So a killed
run leaves whole rows or none; what a power cut leaves between pixels and marks does not fit
its CRC, which is checked when a process first uses a row. Two processes write the same bytes.

The file is written by calls and only read through the memory map: a disk that is full then is an
error that can be told, not a signal that ends the run.
"""

import contextlib
import errno
import mmap
import os
import shutil
import threading
import weakref
import zlib
from collections.abc import Callable, Sequence
from hashlib import blake2b, file_digest
from pathlib import Path

import numpy as np

from lacewing.data.member import open_image, remote_of
from lacewing.data.pixel_place import lock_shared, make_room

VERSION = 2
MAGIC = b"lacewing pixels"
PAGE = 4096
DONE = 1 << 32


class PixelFile:
    """Pixels by row in one file; made by `open_pixel_file`. Safe to use from several threads."""

    def __init__(
        self,
        path: Path,
        shapes: np.ndarray,
        images: Sequence[str],
        contents: Sequence[str],
        on_event: Callable[[str], None] = lambda _: None,
    ) -> None:
        """shapes: int64 [rows, 2], height and width; images: their files, and content hashes."""
        self.path = path
        self._shapes = shapes
        self._images = images
        self._contents = contents
        self._on_event = on_event
        self._starts, _ = layout(shapes)
        self._file = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        lock_shared(self._file)
        # the map lives as long as a view of it, also one that was handed out
        self._bytes = np.frombuffer(mmap.mmap(self._file, 0, access=mmap.ACCESS_READ), np.uint8)
        self._marks = self._bytes[PAGE : PAGE + 8 * len(shapes)].view("<u8")
        self._verified = np.zeros(len(shapes), bool)
        self._writing = threading.Lock()
        self._writable = True

    def get(self, row: int) -> np.ndarray | None:
        """The row's pixels, a view; None if they are not here yet or are damaged."""
        mark = int(self._marks[row])
        if not mark:
            return None
        pixels = self._place(row)
        if not self._verified[row]:
            if mark != mark_of(pixels):
                return None
            self._verified[row] = True
        return pixels

    def put(self, row: int, pixels: np.ndarray) -> None:
        """Keep a row, unless its image is no longer the file that was scanned.

        The first write that fails, on a full disk for one, is told, and is the last.
        """
        if not self._writable or pixels.shape[:2] != tuple(self._shapes[row]):
            return
        image = self._images[row]
        # a server's answer tells by itself whether the file is still the same
        if remote_of(image) is None and content_hash(image) != self._contents[row]:
            return
        try:
            with self._writing:
                self._write(int(self._starts[row]), pixels.tobytes())
                self._write(PAGE + 8 * row, mark_of(pixels).to_bytes(8, "little"))
        except OSError as error:
            self._writable = False
            reason = error.strerror or error
            self._on_event(f"{self.path} can't be written ({reason}): what is not in it yet is "
                           "decoded each time it is used")  # fmt: skip

    def _write(self, start: int, content: bytes) -> None:
        os.lseek(self._file, start, os.SEEK_SET)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _place(self, row: int) -> np.ndarray:
        height, width = self._shapes[row]
        start = int(self._starts[row])
        return self._bytes[start : start + 3 * height * width].reshape(height, width, 3)


def open_pixel_file(
    folder: Path,
    key: str,
    shapes: np.ndarray,
    images: Sequence[str],
    contents: Sequence[str],
    on_event: Callable[[str], None] = lambda _: None,
) -> PixelFile:
    """The file `<key>.u8` in `folder`, as it was left, or a new one.

    A file that is too short or not ours is made anew. To make room, files of other data that
    are not in use are deleted, the least recently used first. Raises OSError where it can't be
    made: a folder that can't be written, too little space.
    """
    path = folder / f"{key}.u8"
    folder.mkdir(parents=True, exist_ok=True)
    size = layout(shapes)[1]
    header = header_of(key, size)
    if not is_sound(path, header, size):
        path.unlink(missing_ok=True)
        make_room(folder, size)
        create(path, header, size)
    file = PixelFile(path, shapes, images, contents, on_event)
    os.utime(path)  # the time of the last use
    return file


def layout(shapes: np.ndarray) -> tuple[np.ndarray, int]:
    """Where each row's pixels begin, int64 [rows], and the size of the file, in bytes."""
    lengths = 3 * shapes.prod(1)
    first = PAGE + -(-8 * len(shapes) // PAGE) * PAGE
    ends = first + np.cumsum(lengths)
    return ends - lengths, int(ends[-1]) if len(shapes) else first


def header_of(key: str, size: int) -> bytes:
    """The first page."""
    return b"%s %d\n%s\n%d\n" % (MAGIC, VERSION, key.encode("ascii"), size) + b"\0" * 8


def is_sound(path: Path, header: bytes, size: int) -> bool:
    """Whether a file is there, whole and with this header."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size == size and file.read(len(header)) == header
    except FileNotFoundError:
        return False


def create(path: Path, header: bytes, size: int) -> None:
    """Make an empty file with all its space; another process's, if that was quicker."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            lock_shared(file.fileno())
            reserve(file.fileno(), size, path.parent)
            file.write(header)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def reserve(descriptor: int, size: int, folder: Path) -> None:
    """Let a file have `size` bytes. Raises OSError if the disk has not as many."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    os.ftruncate(descriptor, size)


def mark_of(pixels: np.ndarray) -> int:
    """The mark of a row with these pixels."""
    return DONE | zlib.crc32(np.ascontiguousarray(pixels).data)


def content_hash(image: str) -> str | None:
    """The hash of a file as the scan makes it; None if the file is gone."""
    with contextlib.suppress(OSError), open_image(image) as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
    return None
