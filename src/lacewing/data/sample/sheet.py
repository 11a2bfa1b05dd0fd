"""A contact sheet: the first images of every class, side by side."""

from collections import defaultdict
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from lacewing.data.layouts import recognise
from lacewing.data.names import order_classes

TILE = 128
CAPTION = 16
PAPER, TEXT = (250, 250, 247), (60, 60, 56)


def contact_sheet(folder: Path, out_png: Path, columns: int = 8) -> None:
    """Write a PNG with a captioned row for each class of a data set, `columns` images in each.

    Any layout that can be trained on will do; images are cropped to squares. Raises DataError
    if the folder holds no data set, OSError for an image that can't be read.
    """
    listing = recognise(folder)
    paths: dict[str, list[Path]] = defaultdict(list)
    for entry in listing.entries:
        paths[entry.key].append(listing.root / entry.path)
    classes = order_classes(paths.keys(), listing.names)
    sheet = Image.new("RGB", (columns * TILE, len(paths) * (TILE + CAPTION)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, (key, name) in enumerate(zip(classes.keys, classes.names, strict=True)):
        top = row * (TILE + CAPTION)
        pen.text((4, top + 2), name, fill=TEXT)
        for column, path in enumerate(paths[key][:columns]):
            sheet.paste(_tile(path), (column * TILE, top + CAPTION))
    sheet.save(out_png)


def _tile(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.fit(image.convert("RGB"), (TILE, TILE), Image.Resampling.LANCZOS)
