"""The index as one file, its summary and its fingerprint."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lacewing.data.index import Excluded, ImageIndex
from lacewing.data.open import open_images
from lacewing.errors import DataError


@pytest.fixture
def index(tmp_path, class_folders) -> ImageIndex:
    found = open_images(str(class_folders(tmp_path / "set", {"1-ants": 6, "2-bees": 4})))
    return replace(found, excluded=(Excluded("x.jpg", "empty file"),), details={"any": [1, "ü"]})


def test_saved_and_loaded_it_is_the_same(tmp_path, index):
    index.save(tmp_path / "index.arrow")
    loaded = ImageIndex.load(tmp_path / "index.arrow")
    assert loaded.table.equals(index.table)
    assert replace(loaded, table=index.table) == index
    assert loaded.fingerprint() == index.fingerprint()


def test_saving_replaces(tmp_path, index):
    index.save(tmp_path / "index.arrow")
    index.split("train").save(tmp_path / "index.arrow")
    assert len(ImageIndex.load(tmp_path / "index.arrow")) == len(index.split("train"))


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="There is no image index"):
        ImageIndex.load(tmp_path / "index.arrow")


def other_version(content: bytes) -> bytes:
    return content.replace(b'"version": 1', b'"version": 9')


@pytest.mark.parametrize(
    "damage", [lambda d: b"", lambda d: d[:-50], lambda d: b"x" * len(d), other_version]
)
def test_a_damaged_file(tmp_path, index, damage):
    file = tmp_path / "index.arrow"
    index.save(file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match="can't be read"):
        ImageIndex.load(file)


def test_fingerprint_sees_every_column_that_matters(index):
    other = index.take(np.arange(len(index))[::-1])
    assert other.fingerprint() != index.fingerprint()
    assert replace(index, root=index.root.parent).fingerprint() == index.fingerprint()
    position = index.table.schema.get_field_index("split")
    moved = index.table.set_column(position, "split", index.table.column("path"))
    assert replace(index, table=moved).fingerprint() != index.fingerprint()


def test_fingerprint_does_not_see_how_the_table_is_cut(index):
    table = pa.concat_tables([index.table.slice(0, 3), index.table.slice(3)])
    assert table["path"].num_chunks == 2
    assert replace(index, table=table).fingerprint() == index.fingerprint()


def test_fingerprint_tells_where_a_text_ends(index):
    moved = index.table["path"].to_pylist()
    moved[0], moved[1] = moved[0] + moved[1][0], moved[1][1:]
    position = index.table.schema.get_field_index("path")
    other = index.table.set_column(position, "path", pa.array(moved))
    assert replace(index, table=other).fingerprint() != index.fingerprint()


def test_a_large_file_is_mapped(tmp_path, index, monkeypatch):
    index.save(tmp_path / "index.arrow")
    monkeypatch.setattr("lacewing.data.index.MAPPED_BYTES", 1)
    loaded = ImageIndex.load(tmp_path / "index.arrow")
    assert loaded.table.equals(index.table)


def test_splits_that_lie_together_and_those_that_do_not(index):
    for name in ("train", "val", "test"):
        expected = [row for row in index.table.to_pylist() if row["split"] == name]
        assert index.split(name).table.to_pylist() == expected
        others = [row for row in index.table.to_pylist() if row["split"] != name]
        assert index.without(name).table.to_pylist() == others
    train = index.split("train")
    assert train.split("train").table.equals(train.table)
    assert len(train.split("val")) == 0


def test_summary(index):
    summary = index.summary()
    assert summary["name"] == "set" and summary["layout"] == "class folders (2)"
    assert summary["images"] == {"train": 6, "val": 2, "test": 2}
    assert summary["classes"][0] == {"name": "ants", "id": "1", "train": 4, "val": 1, "test": 1}
    assert summary["excluded"] == [{"path": "x.jpg", "reason": "empty file"}]
    assert summary["fingerprint"] == index.fingerprint()


def test_paths_and_counts(index):
    assert all(path.endswith(".jpg") for path in index.paths())
    assert [index.path(row) for row in range(len(index))] == index.paths()
    assert index.counts("train").tolist() == [4, 2]
    assert index.take(np.array([3, 1])).table.column("path").to_pylist() == [
        "1-ants/003.jpg",
        "1-ants/001.jpg",
    ]
