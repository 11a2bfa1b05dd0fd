"""Draw docs/pictures/sample.png: a few images of each class of the built-in sample.

python docs/make_sample_picture.py
"""

import tempfile
from pathlib import Path

from PIL import Image

from lacewing.data.sample import contact_sheet, draw_sample

PICTURE = Path(__file__).resolve().parent / "pictures" / "sample.png"
SIZE = (768, 432)
COLOURS = 256
"""Of the palette: the picture is to load quickly."""


def main() -> None:
    """Draw the sample into a temporary folder, and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        photos, sheet = Path(folder) / "photos", Path(folder) / "sheet.png"
        draw_sample(photos, images_per_class=12)
        contact_sheet(photos, sheet, columns=4)
        with Image.open(sheet) as image:
            picture = side_by_side(image).resize(SIZE, Image.Resampling.LANCZOS)
    PICTURE.parent.mkdir(exist_ok=True)
    picture.quantize(COLOURS).save(PICTURE, optimize=True)


def side_by_side(sheet: Image.Image) -> Image.Image:
    """The lower half of a tall sheet put beside the upper one."""
    width, half = sheet.width, sheet.height // 2
    wide = Image.new("RGB", (2 * width, half))
    wide.paste(sheet.crop((0, 0, width, half)), (0, 0))
    wide.paste(sheet.crop((0, half, width, 2 * half)), (width, 0))
    return wide


if __name__ == "__main__":
    main()
