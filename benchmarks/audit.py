"""How long does `lacewing data check` take? The whole command, first and again.

The second call finds sizes and hashes in the cache, as one does that was interrupted.

    python benchmarks/audit.py [--data FOLDER] [--quick]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import machine_facts, parser, print_table, write_result
from lacewing.data.open import open_images
from lacewing.data.sample import draw_sample

IP102_IMAGES = 75_222


def seconds_of(data: str, cache: Path) -> float:
    """Wall-clock seconds of one check. Raises where it ended by an error of ours."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "lacewing", "data", "check", data, "-o", str(cache / "page.html")],
        env={**os.environ, "LACEWING_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in (0, 2):
        raise SystemExit(f"lacewing data check ended with {done.returncode}")
    return time.perf_counter() - started


def main() -> None:
    """Measure, print, write the result."""
    options = parser(__doc__)
    options.add_argument("--data", default=None, help="a folder of images; a sample by default")
    chosen = options.parse_args()
    facts = machine_facts()
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "photos", Path(place) / "cache"
        cache.mkdir()
        if chosen.data is None:
            draw_sample(folder, classes=4, images_per_class=5 if chosen.quick else 250)
        data = chosen.data or str(folder)
        images = len(open_images(data, cache_dir=Path(place) / "counted", draw_sample=draw_sample))
        found: dict[str, Any] = {"images": images}
        for which in ("first", "again"):
            seconds = seconds_of(data, cache)
            found[which] = {"seconds": seconds, "images_per_second": images / seconds}
    rows = [
        (which, found[which]["seconds"], found[which]["images_per_second"],
         IP102_IMAGES / found[which]["images_per_second"] / 60)
        for which in ("first", "again")
    ]  # fmt: skip
    print_table(("call", "seconds", "images/s", f"minutes for {IP102_IMAGES:,} images"), rows)
    print(f"written to {write_result('audit', facts, found, chosen.results)}")


if __name__ == "__main__":
    main()
