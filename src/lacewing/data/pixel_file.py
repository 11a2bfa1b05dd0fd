"""Decoded pixels in a file that outlives the run and is shared between runs.

    header 4096 bytes | table: 32 bytes a row, padded to 4096 | pixels of all rows

The table says of each row where its pixels begin, of what content they are, and whether they are
there: its mark is 0, or 2^32 plus the CRC32 of its pixels; it is written after them. So a killed
run leaves whole rows or none; what a power cut leaves between pixels and marks does not fit
its CRC, which is checked when a process first uses a row. Two processes write the same bytes.

What another file of the same size and filter has already (that of another split, fold or seed) is
copied from there when it is first used, unless it had to make room meanwhile.

The file is written by calls and only read through the memory map: a disk that is full then is an
error that can be told, not a signal that ends the run. Where the disk is read-only, what is there
is used.
"""

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from hashlib import blake2b, file_digest
from pathlib import Path

import numpy as np

from lacewing.data.member import open_image, remote_of
from lacewing.data.pixel_place import lock_shared, make_room, one_at_a_time, open_descriptor
from lacewing.data.pixel_table import (
    PAGE,
    ROW,
    header_of,
    layout,
    map_bytes,
    mark_of,
    new_table,
    rows_elsewhere,
    table_of,
)


class PixelFile:
    """Pixels by row in one file; made by `open_pixel_file`. Safe to use from several threads."""

    def __init__(
        self,
        path: Path,
        opened: tuple[int, str],
        shapes: np.ndarray,
        images: Sequence[str],
        contents: Sequence[str],
        on_event: Callable[[str], None] = lambda _: None,
    ) -> None:
        """opened: what `open_descriptor` gave, marked as in use; closed when this is gone.

        shapes: int64 [rows, 2], height and width; images: their files, and content hashes.
        """
        self._file, refused = opened
        weakref.finalize(self, os.close, self._file)
        self.path = path
        self._shapes = shapes
        self._images = images
        self._contents = contents
        self._on_event = on_event
        self._starts, _ = layout(shapes)
        self._writable = not refused
        # the map lives as long as a view of it, also one that was handed out
        self._bytes = map_bytes(self._file)
        self._marks = table_of(self._bytes, len(shapes))["mark"]
        self._verified = np.zeros(len(shapes), bool)
        self._writing = threading.Lock()
        self._elsewhere = rows_elsewhere(path, contents, self._marks == 0)
        if refused:
            self._tell_unwritable(refused)

    def get(self, row: int) -> np.ndarray | None:
        """The row's pixels, a view; None if they are not here yet or are damaged."""
        mark = int(self._marks[row])
        if not mark:
            return self._copied(row)
        pixels = self._place(row)
        if not self._verified[row]:
            if mark != mark_of(pixels):
                return None
            self._verified[row] = True
        return pixels

    def _copied(self, row: int) -> np.ndarray | None:
        """The row's pixels from another file, kept here from now on; None if none has them."""
        other = self._elsewhere.get(row)
        pixels = None if other is None else other.pixels(*self._shapes[row])
        if pixels is not None and self._writable and self._keep(row, pixels):
            self._elsewhere.pop(row, None)
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
        self._keep(row, pixels)

    def _keep(self, row: int, pixels: np.ndarray) -> bool:
        """Write a row; whether it could be."""
        try:
            with self._writing:
                self._write(int(self._starts[row]), pixels.tobytes())
                self._write(PAGE + ROW.itemsize * row, mark_of(pixels).to_bytes(8, "little"))
        except OSError as error:
            self._writable = False
            self._tell_unwritable(str(error.strerror or error))
            return False
        return True

    def _tell_unwritable(self, reason: str) -> None:
        """Unless other files have every row that is not here."""
        if np.count_nonzero(self._marks == 0) > len(self._elsewhere):
            self._on_event(
                f"{self.path} can't be written ({reason}): what is not in it yet is decoded each "
                "time it is used"
            )

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
    header = header_of(key, len(shapes), size)
    with one_at_a_time(folder):
        if not is_sound(path, header, size):
            path.unlink(missing_ok=True)
            make_room(path, size)
            create(path, header + new_table(shapes, contents).tobytes(), size)
        opened = open_descriptor(path)
        lock_shared(opened[0])
    file = PixelFile(path, opened, shapes, images, contents, on_event)
    with contextlib.suppress(OSError):  # a read-only disk
        os.utime(path)  # the time of the last use
    return file


def is_sound(path: Path, header: bytes, size: int) -> bool:
    """Whether a file is there, whole and with this header."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size == size and file.read(len(header)) == header
    except FileNotFoundError:
        return False


def create(path: Path, head: bytes, size: int) -> None:
    """Make a file, empty after its head, with all its space; unless another process was quicker."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("w+b") as file:  # on NFS a shared lock is for what is read too
            lock_shared(file.fileno())
            reserve(file.fileno(), size, path.parent)
            file.write(head)
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
    if space_is_kept(descriptor, size):
        return
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    os.ftruncate(descriptor, size)


def space_is_kept(descriptor: int, size: int) -> bool:
    """Have Linux keep a file's space; False where it can't. Raises OSError if it is too little.

    `os.posix_fallocate` would write to every block of a file system that keeps none, as NFS.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    while library.fallocate(descriptor, 0, ctypes.c_int64(0), ctypes.c_int64(size)):
        number = ctypes.get_errno()
        if number in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return True


def content_hash(image: str) -> str | None:
    """The hash of a file as the scan makes it; None if the file is gone."""
    with contextlib.suppress(OSError), open_image(image) as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
    return None
