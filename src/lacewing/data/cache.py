"""Where lacewing keeps what it can make again: scans, unpacked archives, the sample."""

import os
import tempfile
from pathlib import Path

UNPACKED, COPIED, DRAWN = ".lacewing-unpacked", ".lacewing-complete", ".lacewing-sample"
"""Files that are written last into an unpacked archive, into a copy of a data set (it says what was
passed over) and into the drawn sample."""


def cache_folder() -> Path:
    """`$LACEWING_CACHE`, or `~/.cache/lacewing`; it need not exist yet."""
    given = os.environ.get("LACEWING_CACHE", "").strip()
    if given:
        return Path(given).expanduser()
    try:
        return Path.home() / ".cache" / "lacewing"
    except RuntimeError:  # a container user without a home folder
        return Path(tempfile.gettempdir()) / "lacewing-cache"
