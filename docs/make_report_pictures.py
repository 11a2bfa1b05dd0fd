"""Draw docs/pictures/report*.png: parts of a report, as a browser shows them.

python docs/make_report_pictures.py [RUN]

Without RUN it trains on the built-in sample first, at few pixels so that there are mistakes. It
needs Chromium and `pip install playwright pillow`.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).resolve().parent / "pictures"
PARTS = {
    "report": (None, 1120, 722),
    "report_classes": ("#classes", 1120, 600),
    "report_mistakes": ("#mistakes", 1120, 790),
    "report_confidence": ("#confidence", 1120, 470),
}
"""Name, section (None: the top of the page), width and greatest height in pixels."""
COLOURS = 256
TRAIN = ("train", "-data", "sample", "--recipe", "features", "--image-size", "80")


def main() -> None:
    """Train if need be, and write the pictures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        run = Path(sys.argv[1]) if len(sys.argv) > 1 else trained(Path(folder))
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, part in PARTS.items():
            page = browser.new_page(viewport={"width": part[1], "height": 900})
            page.goto((run / "report.html").resolve().as_uri())
            shoot(page, PICTURES / f"{name}.png", *part)
            page.close()
        browser.close()


def trained(folder: Path) -> Path:
    """A run on the sample."""
    words = [sys.executable, "-m", "lacewing", *TRAIN, "--output", str(folder), "--name", "run"]
    subprocess.run(words, check=True)
    return folder / "run"


def shoot(page: Page, file: Path, section: str | None, width: int, height: int) -> None:
    """Write one part of the page, in few colours so that it loads quickly."""
    box = {"x": 0.0, "y": 0.0, "height": float(height)}
    if section:
        box = page.locator(section).bounding_box() or box
    top = max(0.0, box["y"] - 8)
    clip = {"x": 0, "y": top, "width": width, "height": min(height, box["height"] + 16)}
    page.screenshot(path=file, full_page=True, clip=clip)
    with Image.open(file) as picture:
        small = picture.convert("RGB").quantize(COLOURS)
    small.save(file, optimize=True)


if __name__ == "__main__":
    main()
