"""Formats of images, by the first bytes of a file, and the extensions that they go by."""

HEAD = 32
"""Bytes that tell a format."""

STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # of more than 4 GiB
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
)  # fmt: skip
HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
"""By which phones' photos name themselves; AVIF may have the last two beside its own."""
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


def is_heic(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a phone's HEIC photo, whatever its name."""
    brands = {head[at : at + 4] for at in range(8, HEAD, 4)}
    return head[4:8] == b"ftyp" and format_of(head) is None and bool(brands & HEIC_BRANDS)
