"""The single way an image file becomes RGB pixels: `open_rgb`.

Scan, pixel store, prediction and export all decode here, so that a photo looks the same to
each of them.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from lacewing.data.member import open_image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
"""Those of SUFFIXES in formats.py, by Pillow's names, which takes MPO for a JPEG: it decodes them
itself, where some of its other formats start programs (EPS)."""
MAX_PIXELS = 178_956_970
"""The largest image that is decoded, in pixels: the bound at which Pillow, too, refuses."""

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation; 1 and unknown values mean upright."""


class UnreadableImageError(ValueError):
    """A file that can't be decoded; its text completes "left out: ...".

    It is no LacewingError: whoever opens a file decides whether one bad image is an error.
    """


@dataclass(frozen=True)
class Decoded:
    """An upright RGB image, and the size in pixels that the file has when it is upright."""

    image: Image.Image
    width: int
    height: int


def open_rgb(path: str | Path, *, at_least: int | None = None) -> Image.Image:
    """The image in a file, upright, as RGB; the first frame of an animated one.

    Transparent parts become white. 16-bit grey is scaled from 0..65535 to 0..255. With
    `at_least`, a large JPEG may come out smaller (at a half, a quarter or an eighth of its
    size), but never with its shorter side below `at_least` pixels unless it already was.
    Raises OSError for a file that is missing, not an image or truncated, and
    UnreadableImageError (a ValueError) for any other damage and above MAX_PIXELS.
    """
    with open_image(path) as file:
        return decode(file, at_least=at_least).image


def decode(file: BinaryIO, *, at_least: int | None = None) -> Decoded:
    """`open_rgb` for an open file, with the size that the image has in the file."""
    try:
        with Image.open(file, formats=known_formats()) as image:
            return _decode(image, at_least)
    except (OSError, UnreadableImageError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise UnreadableImageError(f"more than {MAX_PIXELS / 1e6:.0f} megapixels") from None
    except Exception as error:  # decoders of damaged files raise SyntaxError, struct.error, ...
        raise UnreadableImageError(f"damaged ({error or type(error).__name__})") from error


@cache
def known_formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _decode(image: Image.Image, at_least: int | None) -> Decoded:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(f"more than {MAX_PIXELS / 1e6:.0f} megapixels")
    if at_least is not None:
        image.draft(None, (at_least, at_least))  # keeps both sides at or above what is asked
    image.load()
    if image.format == "TIFF":  # which Pillow turns upright itself, and forgets the tag
        width, height = image.size
    turn = UPRIGHT.get(_orientation(image))
    if turn is not None and turn.name in ("TRANSPOSE", "TRANSVERSE", "ROTATE_90", "ROTATE_270"):
        width, height = height, width
    rgb = to_rgb(image)
    return Decoded(rgb if turn is None else rgb.transpose(turn), width, height)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any image mode as RGB: what is transparent on white, 16 bits by their range."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or floating point, as 8 bits.

    16 bits are scaled by the range of the type, as for 16-bit colour; wider types, whose
    range says nothing, by the range of the picture, unless it lies inside 0..65535 or,
    for floating point, inside 0..1.
    """
    values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 65535 and image.mode != "F":
        low, high = 0.0, 65535.0
    scaled = (values - low) * (255.0 / max(high - low, 1e-12))
    if "transparency" in image.info:  # a PNG's one value that is
        scaled[values == image.info["transparency"]] = 255.0
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 where the EXIF data is missing or damaged."""
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF data raises nearly anything, and the pixels may be fine
        return 1
