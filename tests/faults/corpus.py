"""Broken, odd and hostile images, made from scratch: `{name: (bytes, readable)}`."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, features

SIZE = (48, 36)
Content = tuple[bytes, bool]


def picture(mode: str = "RGB") -> Image.Image:
    """A picture that is like no other mode's."""
    random = np.random.default_rng(len(mode))
    pixels = random.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file of it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png_of_size(width: int, height: int, content: bytes = b"") -> bytes:
    """A PNG that says it is so large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(content)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg_segments(content: bytes) -> dict[str, int]:
    """Where each kind of segment begins: `{"ffdb": 20, ...}`."""
    found, place = {}, 2
    while content[place] == 0xFF and content[place + 1] != 0xDA:
        found[content[place : place + 2].hex()] = place
        place += 2 + struct.unpack(">H", content[place + 2 : place + 4])[0]
    return found | {"ffda": place}


def truncated_jpegs() -> dict[str, Content]:
    """A JPEG cut off inside every kind of segment, and inside its data."""
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(picture(), "JPEG", exif=exif, quality=90)
    cut = {
        f"cut in {kind}.jpg": (whole[: at + 5], False) for kind, at in jpeg_segments(whole).items()
    }
    half = jpeg_segments(whole)["ffda"] + 200
    return {**cut, "cut in its data.jpg": (whole[:half], False), "cut at 2.jpg": (whole[:2], False)}


def truncated_others() -> dict[str, Content]:
    """Every other format at a half and at its first bytes."""
    kinds = {"PNG": "png", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp"}
    files = {suffix: saved(picture(), kind) for kind, suffix in kinds.items()}
    halves = {f"half.{suffix}": (c[: len(c) // 2], False) for suffix, c in files.items()}
    return halves | {f"begun.{suffix}": (c[:12], False) for suffix, c in files.items()}


def no_images() -> dict[str, Content]:
    """What is called an image and is none."""
    html = b"<html><body>404 not found</body></html>"
    archive = b"PK\x03\x04" + bytes(60)
    return {
        "empty.jpg": (b"", False), "zeros.jpg": (bytes(5000), False),
        "one byte.png": (b"\x89", False),
        "page.jpg": (html, False), "archive.png": (archive, False),
        "text.gif": (b"GIF89a but not really", False),
        "noise.jpg": (np.random.default_rng(1).bytes(4000), False),
        "vector.png": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', False),
        "script.jpg": (b"#!/bin/sh\nrm -rf /\n", False),
        "program.png": (b"\x7fELF" + bytes(200), False),
        "pickle.png": (b"\x80\x04cos\nsystem\n(S'true'\ntR.", False),
    }  # fmt: skip


def bombs() -> dict[str, Content]:
    """Small files that would take all memory."""
    huge = saved(picture(), "BMP")
    bmp = huge[:18] + struct.pack("<ii", 65000, 65000) + huge[26:]
    jpeg = bytearray(saved(picture(), "JPEG"))
    frame = jpeg_segments(bytes(jpeg))["ffc0"]
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
    return {
        "bomb.png": (png_of_size(65000, 65000, bytes(100)), False),
        "bomb.bmp": (bmp, False), "bomb.jpg": (bytes(jpeg), False),
        "line.png": (png_of_size(2**31 - 1, 1), False),
        "nothing.png": (png_of_size(0, 10), False),
        "short.png": (png_of_size(60, 60, bytes(10)), False),
    }  # fmt: skip


def damaged() -> dict[str, Content]:
    """Files whose inside is wrong."""
    png = bytearray(saved(picture(), "PNG"))
    png[20] ^= 0xFF  # in the header, whose checksum is looked at
    gif = saved(picture("P"), "GIF")
    tiff = bytearray(saved(picture(), "TIFF"))
    tiff[4:8] = struct.pack("<I", 0xFFFFFFF0)
    webp = saved(picture(), "WEBP")
    return {
        "flipped.png": (bytes(png), False), "no end.gif": (gif[:30], False),
        "far away.tif": (bytes(tiff), False), "twice.webp": (webp[:20] + webp, False),
    }  # fmt: skip


def heic() -> bytes:
    """The beginning of a phone's photo; Pillow reads them with a plugin only."""
    kind = b"ftypheic" + bytes(4) + b"mif1heic"
    return struct.pack(">I", 4 + len(kind)) + kind + chunk(b"meta", bytes(40))


def deep_colour() -> bytes:
    """A PNG of 16 bits per channel, which Pillow reads and can't write."""
    header = struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0)
    pixels = np.random.default_rng(3).integers(0, 256, (SIZE[1], SIZE[0] * 6), dtype=np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def newer_formats() -> dict[str, Content]:
    """AVIF and JPEG 2000 where this Pillow has them, and HEIC."""
    found = {"phone.jpg": (heic(), False)}
    for kind, feature, suffix in (("AVIF", "avif", "avif"), ("JPEG2000", "jpg_2000", "jp2")):
        if features.check(feature):
            whole = saved(picture(), kind)
            found[f"whole.{suffix}"] = (whole, True)
            found[f"half.{suffix}"] = (whole[: len(whole) // 2], False)
            found[f"begun.{suffix}"] = (whole[:14], False)
    return found


def odd() -> dict[str, Content]:
    """Unusual, and fine."""
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    broken_exif = saved(picture(), "JPEG").replace(b"JFIF", b"Exif", 1)
    transparent = picture("P")
    transparent.info["transparency"] = 0
    frames = [picture(), picture("L").convert("RGB")]
    deep = Image.fromarray(np.arange(48 * 36, dtype=np.uint16).reshape(36, 48) * 37)
    real = Image.fromarray(np.linspace(0, 1, 48 * 36, dtype=np.float32).reshape(36, 48))
    png = saved(picture(), "PNG")
    return {
        "grey.jpg": (saved(picture("L"), "JPEG"), True),
        "cmyk.jpg": (saved(picture("CMYK"), "JPEG"), True),
        "progressive.jpg": (saved(picture(), "JPEG", progressive=True), True),
        "upside down.jpg": (saved(picture(), "JPEG", exif=upside_down), True),
        "broken exif.jpg": (broken_exif, True),
        "palette.png": (saved(transparent, "PNG", transparency=0), True),
        "black and white.png": (saved(picture("1"), "PNG"), True),
        "16 bits.png": (saved(deep, "PNG"), True), "real.tif": (saved(real, "TIFF"), True),
        "deep colour.png": (deep_colour(), True),
        "with alpha.png": (saved(picture("RGBA"), "PNG"), True),
        "grey with alpha.png": (saved(picture("LA"), "PNG"), True),
        "animated.gif": (saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), True),
        "animated.webp": (saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]), True),
        "pages.tif": (saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]), True),
        "lossless.webp": (saved(picture(), "WEBP", lossless=True), True),
        "a png.jpg": (png, True), "a jpeg.png": (saved(picture(), "JPEG"), True),
        "no suffix": (png, True), "rest behind.png": (png + bytes(999), True),
        "one pixel.png": (saved(Image.new("RGB", (1, 1)), "PNG"), True),
        "a line.png": (saved(Image.new("RGB", (3000, 1)), "PNG"), True),
        "🦋 ünï.png": (png, True), "two\nlines.png": (png, True), "-rf.png": (png, True),
        "%s$(x)`.png": (png, True), "n" * 200 + ".png": (png, True),
    }  # fmt: skip


MAKERS: tuple[Callable[[], dict[str, Content]], ...] = (
    truncated_jpegs, truncated_others, no_images, bombs, damaged, newer_formats, odd,
)  # fmt: skip


def corpus() -> dict[str, Content]:
    """All of them by file name: the bytes, and whether lacewing can use them."""
    return {name: content for make in MAKERS for name, content in make().items()}
