"""Whether a file is what its extension says, by its first bytes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lacewing.data.member import read_head

HEAD = 32
"""Bytes that tell a format."""

STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
)  # fmt: skip
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WebP": (".webp",),
    "AVIF": (".avif",),
    "JPEG 2000": (".jp2",),
    "Netpbm": (".ppm", ".pgm", ".pbm"),
}
"""The extensions that each format goes by."""


def format_of(head: bytes) -> str | None:
    """The format of a file that begins with these bytes; None if it is none that we know."""
    for start, name in STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp" and b"avi" in head[8:HEAD]:
        return "AVIF"
    if len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "Netpbm"
    return None


def wrong_extension(path: Path) -> str | None:
    """The format of a file whose extension says another; None if it is right, missing or unknown.

    Nothing is said of a file that can't be read.
    """
    suffix = path.suffix.lower()
    if not suffix:
        return None
    try:
        found = format_of(read_head(path, HEAD))
    except OSError:
        return None
    return found if found is not None and suffix not in SUFFIXES[found] else None


def wrong_extensions(paths: list[str], threads: int) -> list[str | None]:
    """`wrong_extension` of each file."""
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="formats") as pool:
        return list(pool.map(wrong_extension, map(Path, paths)))
