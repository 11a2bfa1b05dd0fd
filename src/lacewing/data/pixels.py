"""Decoded images by row: each file is decoded once and kept where it fits.

An image is kept with its shorter side at `Preprocessing.resize_size` and its own aspect
ratio. Validation, test and prediction take the central square of just these pixels;
augmentation samples from them. So there is one resampling on the way in, the same for all.
"""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from lacewing.data.cache import cache_folder
from lacewing.data.in_use import hold_copy
from lacewing.data.index import ImageIndex
from lacewing.data.kept import Kept, NoPixels, RamPixels
from lacewing.data.member import open_image
from lacewing.data.pixel_file import open_pixel_file
from lacewing.data.preprocess import Preprocessing
from lacewing.data.rgb import Decoded, decode
from lacewing.errors import DataError

MAX_ASPECT = 2.0
"""Of a longer image only the central part is kept, twice as long as it is wide."""
MAX_LOST_SHARE = 0.01
"""More unreadable images than this end the run: something is wrong with the disk."""
MAX_UNJUDGED = 5
MAX_UNJUDGED_SHARE = 0.1
"""Of images that nothing is learnt from, more than both: fewer say less, but nothing wrong."""
ROWS_AT_ONCE = 2**18
"""Rows of an index that are added up at once: millions would take much memory."""
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def kept_sizes(widths: np.ndarray, heights: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Widths and heights in pixels, int64 [rows], of images resized to a shorter side."""
    shorter = np.minimum(widths, heights)
    longest = int(side * MAX_ASPECT)

    def scaled(lengths: np.ndarray) -> np.ndarray:
        # floor(x + 0.5): the same as `kept_length` for one image
        sizes = np.floor(lengths.astype(np.float64) * side / shorter + 0.5).astype(np.int64)
        return np.clip(sizes, side, longest)

    return scaled(widths), scaled(heights)


def kept_shapes(index: ImageIndex, preprocessing: Preprocessing) -> np.ndarray:
    """Height and width, int64 [rows, 2], of an index's images as they are kept."""
    sizes = kept_sizes(index.column("width"), index.column("height"), preprocessing.resize_size)
    return np.stack(sizes[::-1], axis=1)


def kept_bytes(index: ImageIndex, side: int) -> int:
    """RAM that all images of an index take at a shorter side of `side` pixels."""
    total = 0
    for start in range(0, len(index), ROWS_AT_ONCE):
        part = index.table.slice(start, ROWS_AT_ONCE)
        widths, heights = (part.column(name).to_numpy() for name in ("width", "height"))
        total += 3 * int(np.dot(*kept_sizes(widths, heights, side)))
    return total


def load_pixels(path: str | Path, preprocessing: Preprocessing) -> np.ndarray:
    """A file's upright RGB pixels, uint8 [height, width, 3], shorter side at `resize_size`.

    Raises OSError and UnreadableImageError as `open_rgb` does.
    """
    with open_image(path) as file:
        decoded = decode(file, at_least=preprocessing.resize_size)
    return resized(decoded, preprocessing)


def resized(decoded: Decoded, preprocessing: Preprocessing) -> np.ndarray:
    """A decoded image's pixels, uint8 [height, width, 3]; anti-aliased, aspect ratio kept."""
    side = preprocessing.resize_size
    full = decoded.width, decoded.height
    target = [max(side, int(length * side / min(full) + 0.5)) for length in full]
    keep = [min(length, int(side * MAX_ASPECT)) for length in target]
    # of a panorama only the part that is kept is resampled
    margins = [
        length * (1 - kept / whole) / 2
        for length, kept, whole in zip(decoded.image.size, keep, target, strict=True)
    ]
    width, height = decoded.image.size
    region = (margins[0], margins[1], width - margins[0], height - margins[1])
    filter_ = FILTERS[preprocessing.interpolation]
    return np.asarray(decoded.image.resize((keep[0], keep[1]), filter_, box=region))


def central_square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The middle of [height, width, 3] pixels, a view of [size, size, 3]."""
    top, left = ((length - size) // 2 for length in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def open_kept(
    index: ImageIndex,
    preprocessing: Preprocessing,
    kind: str,
    cache_dir: Path | None = None,
    on_event: Callable[[str], None] = lambda _: None,
) -> Kept:
    """Where the pixels of an index's images are kept on this side of the device.

    `kind` is ram, disk, none, or device: then the loader keeps them (see device_pixels.py).

    On disk it is a file below `cache_dir` (`cache_folder()` by default) that is shared by all
    runs with the same images, size and filter; one with other images copies what it has of the
    same. Where there can be none, `on_event` gets a sentence and nothing is kept.
    """
    if kind in ("none", "device"):
        return NoPixels()
    shapes = kept_shapes(index, preprocessing)
    if kind == "ram":
        return RamPixels(shapes)
    assert kind == "disk", kind
    folder = (cache_folder() if cache_dir is None else cache_dir) / "pixels"
    contents = index.table.column("hash").to_pylist()
    key = pixel_key(contents, preprocessing)
    try:
        return open_pixel_file(folder, key, shapes, index.paths(), contents, on_event)
    except OSError as error:
        on_event(f"Decoded images can't be kept in {folder} ({error.strerror or error}): each is "
                 "decoded every time it is used")  # fmt: skip
        return NoPixels()


def pixel_key(contents: list[str], preprocessing: Preprocessing) -> str:
    """A name for the pixels of images with these content hashes, in this order.

    It begins with how they are made. Another version of Pillow may decode a little differently,
    so it has its own.
    """
    recipe = (preprocessing.resize_size, preprocessing.interpolation, MAX_ASPECT, PIL.__version__)
    made = blake2b(repr(recipe).encode(), digest_size=8)
    digest = blake2b(digest_size=16)
    for content in contents:
        digest.update(content.encode())
    return f"{made.hexdigest()}-{digest.hexdigest()}"


class PixelStore:
    """The pixels of an index's images by row, from where they are kept or from the image's file.

    A file that vanished or broke since the scan is replaced by the next image of its class;
    `lost` holds the reasons by row. Safe to use from several threads.
    """

    def __init__(
        self,
        index: ImageIndex,
        preprocessing: Preprocessing,
        *,
        keep: str,
        cache_dir: Path | None = None,
        on_lost: Callable[[str], None] = lambda _: None,
        on_event: Callable[[str], None] = lambda _: None,
    ) -> None:
        """keep: ram, disk, device or none; the other parameters as in `open_kept`."""
        self.preprocessing = preprocessing
        self.lost: dict[int, str] = {}
        self._on_lost = on_lost
        self._index = index
        self._labels = index.column("label")
        self._cache_dir, self._on_event = cache_dir, on_event
        if len(index):
            hold_copy(self, index.path(0))
        self.move(keep)

    def move(self, keep: str) -> None:
        """Keep pixels here from now on; none of them comes along."""
        self.keep = keep
        self._kept = open_kept(
            self._index, self.preprocessing, keep, self._cache_dir, self._on_event
        )

    def __len__(self) -> int:
        return len(self._index)

    @property
    def shapes(self) -> np.ndarray:
        """Height and width of each row's pixels, int64 [rows, 2]."""
        return kept_shapes(self._index, self.preprocessing)

    def get(self, row: int) -> np.ndarray:
        """Pixels of a row, uint8 [height, width, 3].

        Raises DataError if too many are lost, or all images of a class.
        """
        while isinstance(found := self._read(row), Exception):
            row = self.substitute(row, found)
        return found

    def get_judged(self, row: int) -> np.ndarray:
        """As `get`, of images that nothing is learnt from: of a class that is lost it is black.

        Raises DataError if too many are lost.
        """
        while isinstance(found := self._read(row), Exception):
            self._lose(row, found, max(MAX_UNJUDGED, MAX_UNJUDGED_SHARE * len(self)))
            other = self._following(row)
            if other is None:
                side = self.preprocessing.resize_size
                return np.zeros((side, side, 3), np.uint8)
            row = other
        return found

    def substitute(self, row: int, error: Exception) -> int:
        """The row whose image is used for a lost one. Raises DataError."""
        self._lose(row, error, max(1, MAX_LOST_SHARE * len(self)))
        other = self._following(row)
        if other is None:
            raise DataError(
                f"{self._index.path(row)} can't be read any more ({self.lost[row]}), and no "
                "other image of its class can."
            )
        return other

    def _read(self, row: int) -> np.ndarray | Exception:
        """Pixels of a row's own image, or why its file can't be read."""
        kept = self._kept.get(row)
        if kept is not None:
            return kept
        try:
            pixels = load_pixels(self._index.path(row), self.preprocessing)
        except (OSError, ValueError) as error:
            return error
        self._kept.put(row, pixels)
        return pixels

    def _lose(self, row: int, error: Exception, most: float) -> None:
        """Note that an image is lost. Raises DataError if there are more than `most` of them."""
        if row not in self.lost:
            self.lost[row] = str(getattr(error, "strerror", None) or error)
            self._on_lost(f"{self._index.path(row)} ({self.lost[row]})")
        if len(self.lost) > most:
            raise DataError(
                f"{len(self.lost)} of {len(self)} images can't be read any more, the last one "
                f"{self._index.path(row)} ({self.lost[row]}): is the disk still there?"
            )

    def _following(self, row: int) -> int | None:
        """The next row of a class, around it, that is not lost: the same whoever asks first."""
        same = np.flatnonzero(self._labels == self._labels[row])
        others = np.roll(same, -int(np.searchsorted(same, row)))[1:]
        return next((int(other) for other in others if int(other) not in self.lost), None)
