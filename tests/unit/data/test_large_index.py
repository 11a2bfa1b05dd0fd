"""Ten million rows: opened without being read, by memory. benchmarks/large_index.py has seconds."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lacewing.data.index import METADATA_KEY, SCHEMA, VERSION

ROWS, PART = 10_000_000, 500_000

MEASURE = """
import sys
from pathlib import Path
import psutil
from lacewing.data.index import ImageIndex

before = psutil.Process().memory_info().rss
index = ImageIndex.load(Path(sys.argv[1]))
first, last = index.path(0), index.path(len(index) - 1)
print(len(index), first, last, psutil.Process().memory_info().rss - before)

from lacewing.data.augment import AugmentConfig
from lacewing.data.chance import order
from lacewing.data.pixels import PixelStore, kept_bytes
from lacewing.data.preprocess import Preprocessing

train = index.split("train")
rule = Preprocessing(image_size=28, mean=(0.5,) * 3, std=(0.5,) * 3)
store = PixelStore(train, rule, keep="none")
kept_bytes(train, 32)
rows = order(0, 0, len(store))
print(len(store), len(rows), index.counts("val").sum(), len(index.without("test")))
"""


def part(start: int) -> pa.Table:
    """Rows of 500 folders, 60 % of them training images, in the order of their paths."""
    number = np.arange(start, start + PART)
    text = np.char.zfill(number.astype("U8"), 8)
    split = np.where(number < 0.6 * ROWS, "train", np.where(number < 0.8 * ROWS, "val", "test"))
    paths = np.char.add(np.char.add("images/", text), ".jpg")
    columns = {
        "path": paths,
        "label": (number % 102).astype(np.int32),
        "split": split,
        "width": np.full(PART, 300, np.int32),
        "height": np.full(PART, 213, np.int32),
        "bytes": number,
        "hash": np.char.add(np.char.zfill(text, 16), text).astype("U32"),
        "dhash": number.astype(np.uint64),
    }
    return pa.table({name: pa.array(values) for name, values in columns.items()}).cast(SCHEMA)


def write_large(path: Path) -> None:
    rest = {
        "root": "/photos",
        "classes": [f"class {label}" for label in range(102)],
        "name": "large",
        "layout": "class folders (102)",
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
        for start in range(0, ROWS, PART):
            writer.write_table(part(start))


@pytest.mark.slow
def test_ten_million_rows_open_in_little_memory(tmp_path):
    file = tmp_path / "index.arrow"
    write_large(file)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True
    )
    opened, trained = done.stdout.splitlines()
    rows, first, last, grown = opened.split()
    assert int(rows) == ROWS
    assert first.endswith("/00000000.jpg") and last.endswith("/09999999.jpg")
    assert int(grown) < 100 * 2**20, "of 874 MB"
    assert trained.split() == ["6000000", "6000000", "2000000", "8000000"]
