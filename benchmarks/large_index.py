"""What does an index of ten million images cost? Opening it, its order for an epoch, single paths,
and finding its images among those that were scanned before, as each start and resume does.

A file like that of a run is written first, then each question is asked in a new process.

    python benchmarks/large_index.py [--quick]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common import machine_facts, parser, print_table, summary, write_result
from lacewing.data.index import METADATA_KEY, SCHEMA, VERSION
from lacewing.data.scan_cache import SCAN_SCHEMA, cache_file

ROWS, PART = 10_000_000, 500_000
CLASSES = 102
RUNS = 5

MEASURE = """
import json, sys, time
from pathlib import Path
import numpy as np, psutil, pyarrow.compute as pc
from lacewing.data.chance import order
from lacewing.data.index import ImageIndex
from lacewing.data.named_files import NamedFiles
from lacewing.data.scan_cache import known_scans

def in_files(index):
    places = pc.binary_join_element_wise(str(index.root), index.table["path"], "/")
    numbers, sizes = np.arange(len(index)), index.column("bytes")
    states = np.stack([sizes, sizes], axis=1)
    return NamedFiles(numbers, places.cast("large_binary"), "/photos", states, sizes, {})

def taken(work):
    start, before = time.perf_counter(), psutil.Process().memory_info().rss
    kept = work()
    seconds, bytes_ = time.perf_counter() - start, psutil.Process().memory_info().rss - before
    return kept, {"seconds": seconds, "bytes": bytes_}

index, opened = taken(lambda: ImageIndex.load(Path(sys.argv[1])))
rows, ordered = taken(lambda: order(0, 0, len(index)))
_, named = taken(lambda: [index.path(row) for row in rows[:1000].tolist()])
files = in_files(index)
(known, _), looked_up = taken(lambda: known_scans(Path(sys.argv[1]).parent, files))
assert known.all()
print(json.dumps({"open": opened, "order of an epoch": ordered, "1,000 paths": named,
                  "known scans": looked_up}))
"""


def part(start: int, rows: int) -> pa.Table:
    """Some of so many rows from `start` on, in the order of their paths; 60 % are for training."""
    number = np.arange(start, min(start + PART, rows))
    count = len(number)
    text = np.char.zfill(number.astype("U8"), 8)
    columns = {
        "path": np.char.add(np.char.add("images/", text), ".jpg"),
        "label": (number % CLASSES).astype(np.int32),
        "split": np.where(
            number < 0.6 * rows, "train", np.where(number < 0.8 * rows, "val", "test")
        ),
        "width": np.full(count, 300, np.int32),
        "height": np.full(count, 213, np.int32),
        "bytes": number,
        "hash": np.char.zfill(text, 32),
        "dhash": number.astype(np.uint64),
    }
    return pa.table({name: pa.array(values) for name, values in columns.items()}).cast(SCHEMA)


def write_index(path: Path, rows: int) -> None:
    """An index's file, a part at a time."""
    rest = {
        "root": "/photos",
        "classes": [f"class {label}" for label in range(CLASSES)],
        "name": "large",
        "layout": f"class folders ({CLASSES})",
        "class_ids": [],
        "excluded": [],
        "notes": [],
        "details": {},
    }
    metadata = {METADATA_KEY: json.dumps({"version": VERSION, **rest})}
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, SCHEMA.with_metadata(metadata)) as writer,
    ):
        for start in range(0, rows, PART):
            writer.write_table(part(start, rows))


def write_scans(cache: Path, rows: int) -> None:
    """What a scan of the same images keeps in the cache."""
    file = cache_file(cache, "/photos")
    file.parent.mkdir(parents=True)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, SCAN_SCHEMA) as writer:
        for start in range(0, rows, PART):
            images = part(start, rows)
            paths = pc.binary_join_element_wise("/photos", images["path"], "/")
            images = images.set_column(0, "path", paths).append_column("mtime_ns", images["bytes"])
            writer.write_table(images.select(SCAN_SCHEMA.names).cast(SCAN_SCHEMA))


def measured(file: Path) -> dict[str, dict[str, float]]:
    """Seconds and growth of memory, bytes, of each question in a new process."""
    command = [sys.executable, "-c", MEASURE, str(file)]
    found: dict[str, dict[str, float]] = json.loads(subprocess.check_output(command))
    return found


def main() -> None:
    """Measure, print, write the result."""
    chosen = parser(__doc__).parse_args()
    facts, rows = machine_facts(), ROWS // 20 if chosen.quick else ROWS
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "index.arrow"
        write_index(file, rows)
        write_scans(file.parent, rows)
        size = file.stat().st_size
        runs = [measured(file) for _ in range(2 if chosen.quick else RUNS)]
    found = {
        question: {what: summary([run[question][what] for run in runs])
                   for what in ("seconds", "bytes")}
        for question in runs[0]
    }  # fmt: skip
    table = [(question, one["seconds"]["median"], one["bytes"]["median"] / 1e6)
             for question, one in found.items()]  # fmt: skip
    print(f"{rows:,} rows, {size / 1e6:.0f} MB")
    print_table(("what", "seconds", "MB of memory"), table)
    content = {"rows": rows, "file_bytes": size, **found}
    print(f"written to {write_result('large_index', facts, content, chosen.results)}")


if __name__ == "__main__":
    main()
