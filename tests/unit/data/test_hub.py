"""Parquet files and hub data sets are copied into shards, once."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacewing.data import hub
from lacewing.data.member import open_image
from lacewing.data.open import open_images
from lacewing.data.shard_writer import ShardWriter
from lacewing.data.shards import read_shard
from lacewing.errors import DataError, MissingExtraError

NAMES = ["ants", "bees"]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def pictures(jpeg, tmp_path):
    return [jpeg(tmp_path / f"{n}.jpg", n).read_bytes() for n in range(8)]


@pytest.fixture
def parquet(tmp_path, pictures):
    """A folder as `datasets` writes it: two training files and one of the test split."""
    described = {
        "info": {"features": {"label": {"names": NAMES, "_type": "ClassLabel"},
                              "image": {"_type": "Image"}}}
    }  # fmt: skip
    schema = pa.schema([("image", IMAGE), ("label", pa.int64())])
    schema = schema.with_metadata({"huggingface": json.dumps(described)})
    folder = tmp_path / "pests"
    (folder / "data").mkdir(parents=True)
    for name, rows in (
        ("train-00000-of-00002", [0, 1, 2]),
        ("train-00001-of-00002", [3, 4, 5]),
        ("test-00000-of-00001", [6, 7]),
    ):
        columns = [
            pa.array([{"bytes": pictures[n], "path": None} for n in rows], IMAGE),
            pa.array([n % 2 for n in rows], pa.int64()),
        ]
        pq.write_table(pa.table(columns, schema=schema), folder / "data" / f"{name}.parquet")
    return folder


def test_parquet_becomes_an_index(parquet, pictures):
    seen = []
    index = open_images(parquet, val_share=0, progress=lambda *done: seen.append(done))
    assert index.name == "pests" and index.classes == ("ants", "bees")
    assert index.counts("train").tolist() == [3, 3] and index.counts("test").tolist() == [1, 1]
    assert sorted(open_image(path).read() for path in index.paths()) == sorted(pictures)
    assert seen[7] == (8, 8)
    assert any("were copied into" in note for note in index.notes)


def test_it_is_copied_once_and_again_when_it_changed(parquet, tmp_path):
    first = hub.shards_of_parquet(parquet, tmp_path / "cache")
    state = (first / "train-00000.tar").stat().st_mtime_ns
    assert hub.shards_of_parquet(parquet, tmp_path / "cache") == first
    assert (first / "train-00000.tar").stat().st_mtime_ns == state
    (parquet / "data" / "train-00001-of-00002.parquet").unlink()
    second = hub.shards_of_parquet(parquet, tmp_path / "cache")
    assert second != first
    assert len(read_shard(second / "train-00000.tar", second)) == 3


def test_a_copy_that_was_cut_short_is_made_again(parquet, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "add", fail)
        with pytest.raises(DataError, match="No space left on device; set LACEWING_CACHE"):
            hub.shards_of_parquet(parquet, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "unpacked").iterdir())
    assert len(list(hub.shards_of_parquet(parquet, tmp_path / "cache").glob("*.tar"))) == 2


def test_columns_that_are_missing_are_named(tmp_path):
    pq.write_table(pa.table({"image": [b"x"], "text": ["y"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="columns image, text, but none called label"):
        open_images(tmp_path)


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="can't be read"):
        open_images(tmp_path)


def test_a_parquet_file_that_is_damaged_inside_is_said(parquet):
    file = parquet / "data" / "train-00000-of-00002.parquet"
    content = bytearray(file.read_bytes())
    content[4:200] = b"\xff" * 196
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"A parquet file is damaged|can't be copied"):
        open_images(parquet)


def test_a_shard_of_its_own_size_is_begun(tmp_path, pictures):
    with ShardWriter(tmp_path, shard_bytes=4000) as writer:
        for number, picture in enumerate(pictures):
            writer.add(None, picture, str(number))
    files = sorted(tmp_path.glob("images-*.tar"))
    assert len(files) > 2
    assert [e.key for file in files for e in read_shard(file, tmp_path)] == list("01234567")


class Streamed:
    """What `datasets` hands out, as far as it is used."""

    def __init__(self, rows):
        self.rows = rows
        self.features = {"image": object(), "label": SimpleNamespace(names=NAMES)}
        self.info = SimpleNamespace(splits={"train": SimpleNamespace(num_examples=8)})

    def cast_column(self, name, feature):
        assert (name, feature) == ("image", {"decode": False})
        return self.rows


def test_a_hub_data_set_is_streamed(monkeypatch, pictures):
    asked = []
    rows = [{"image": {"bytes": b, "path": None}, "label": n % 2} for n, b in enumerate(pictures)]

    def load_dataset(name, streaming):
        asked.append((name, streaming))
        return {"train": Streamed(rows[:6]), "validation": Streamed(rows[6:])}

    fake = SimpleNamespace(load_dataset=load_dataset, Image=lambda decode: {"decode": decode})
    monkeypatch.setitem(hub.importlib.sys.modules, "datasets", fake)
    for _ in range(2):
        index = open_images("hub:someone/pests", test_share=0)
    assert asked == [("someone/pests", True)]
    assert index.name == "pests" and index.classes == ("ants", "bees")
    assert index.counts("train").tolist() == [3, 3] and index.counts("val").tolist() == [1, 1]


def test_a_hub_that_can_not_be_reached_is_said(monkeypatch):
    def load_dataset(name, streaming):
        raise ConnectionError("no route to the hub\nmore")

    monkeypatch.setitem(
        hub.importlib.sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset)
    )
    with pytest.raises(DataError, match="someone/pests can't be read from the hub: no route"):
        open_images("hub:someone/pests")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(hub.importlib.sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"lacewing\[hub\]"):
        open_images("hub:someone/pests")


def test_images_without_a_label_are_passed_over_and_said(parquet, pictures):
    """As in a hidden test split, where the hub has -1."""
    table = pq.read_table(next((parquet / "data").glob("test*")))
    labels = pa.array([-1, None], pa.int64())
    hidden = table.set_column(1, "label", labels).cast(table.schema)
    pq.write_table(hidden, next((parquet / "data").glob("test*")))
    index = open_images(parquet, val_share=0, test_share=0)
    assert index.classes == ("ants", "bees")
    assert len(index) == 6
    assert any(note.startswith("2 of the images have no label") for note in index.notes)
    assert any("2 of the images have no label" in note for note in open_images(parquet).notes), (
        "again"
    )


def test_negative_numbers_are_labels_where_no_class_has_a_name(tmp_path, pictures):
    columns = {"image": pictures[:4], "label": [-1, 1, -1, 1]}
    (tmp_path / "plain").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "plain" / "all.parquet")
    assert open_images(tmp_path / "plain", val_share=0, test_share=0).classes == ("1", "-1")
