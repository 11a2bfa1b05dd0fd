"""Whether a file is what its extension says, by its first bytes."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lacewing.data.formats import HEAD, SUFFIXES, format_of
from lacewing.data.in_order import in_order
from lacewing.data.member import read_head


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


def wrong_extensions(paths: Iterable[str], threads: int) -> Iterator[str | None]:
    """`wrong_extension` of each file, in their order."""
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="formats")
    yield from in_order(map(Path, paths), wrong_extension, pool)
