"""Where lacewing keeps what it can make again: scans, unpacked archives, the sample."""

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """`$LACEWING_CACHE`, or `~/.cache/lacewing`; it need not exist yet."""
    given = os.environ.get("LACEWING_CACHE", "").strip()
    if given:
        return Path(given).expanduser()
    try:
        return Path.home() / ".cache" / "lacewing"
    except RuntimeError:  # a container user without a home folder
        return Path(tempfile.gettempdir()) / "lacewing-cache"
