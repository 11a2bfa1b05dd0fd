"""Ten million rows: opened without being read, by memory. benchmarks/large_index.py has seconds."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
ROWS = 10_000_000

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


@pytest.mark.slow
def test_ten_million_rows_open_in_little_memory(tmp_path, monkeypatch):
    file = tmp_path / "index.arrow"
    monkeypatch.syspath_prepend(BENCHMARKS)
    runpy.run_path(str(BENCHMARKS / "large_index.py"))["write_index"](file, ROWS)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True
    )
    opened, trained = done.stdout.splitlines()
    rows, first, last, grown = opened.split()
    assert int(rows) == ROWS
    assert first.endswith("/00000000.jpg") and last.endswith("/09999999.jpg")
    assert int(grown) < 100 * 2**20, "of 954 MB"
    assert trained.split() == ["6000000", "6000000", "2000000", "8000000"]
