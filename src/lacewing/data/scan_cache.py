"""Scans that were made before: one Arrow file for each data set's folder."""

from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from lacewing.store.atomic import replacing

ScanKey = tuple[str, int, int]
"""Path relative to the root, size in bytes, time of the last change in nanoseconds."""
ScanRow = tuple[int, int, str, int]
"""Width, height, content hash, difference hash."""

VERSION = b"2"
SCAN_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("hash", pa.string()),
        ("dhash", pa.uint64()),
    ],
    metadata={"version": VERSION},
)


def load_scans(cache_dir: Path, root: Path) -> dict[ScanKey, ScanRow]:
    """What is known of the files below `root`; {} if nothing is, or the cache is damaged."""
    try:
        with pa.memory_map(str(cache_file(cache_dir, root))) as source:
            table = pa.ipc.open_file(source).read_all()
            if not table.schema.equals(SCAN_SCHEMA, check_metadata=True):
                return {}
            table.validate(full=True)
            columns = [table.column(name).to_pylist() for name in SCAN_SCHEMA.names]
    except (OSError, ValueError, pa.ArrowException):  # damaged: scanning again mends it
        return {}
    rows = zip(*columns, strict=True)
    return {(path, size, time): tuple(rest) for path, size, time, *rest in rows}


def save_scans(cache_dir: Path, root: Path, rows: dict[ScanKey, ScanRow]) -> None:
    """Replace what is kept for `root`. Raises OSError where nothing can be written."""
    file = cache_file(cache_dir, root)
    file.parent.mkdir(parents=True, exist_ok=True)
    records = [dict(zip(SCAN_SCHEMA.names, (*key, *row), strict=True)) for key, row in rows.items()]
    table = pa.Table.from_pylist(records, schema=SCAN_SCHEMA)
    with (
        replacing(file) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, SCAN_SCHEMA) as writer,
    ):
        writer.write_table(table)


def cache_file(cache_dir: Path, root: Path) -> Path:
    """The file that keeps the scans of `root`."""
    key = blake2b(str(root.resolve()).encode("utf-8", "surrogateescape"), digest_size=12)
    return cache_dir / "scans" / f"{key.hexdigest()}.arrow"
