"""Data sets of the hub are streamed into shards, once, by a stand-in for its library."""

import io
import sys
from types import SimpleNamespace

import pytest

from lacewing.data.open import open_images
from lacewing.data.shard_writer import ShardWriter
from lacewing.errors import DataError, MissingExtraError

NAMES = ["ants", "bees"]


@pytest.fixture
def pictures(jpeg, tmp_path):
    return [jpeg(tmp_path / f"{n}.jpg", n).read_bytes() for n in range(8)]


@pytest.fixture
def library(monkeypatch):
    """`library(splits)` puts a `datasets` in place; what it was asked for stands in `asked`."""
    asked = []

    def put(splits, files=None):
        def load_dataset(name, config, revision, streaming):
            asked.append((name, config, revision, streaming))
            return {word: Streamed(rows) for word, rows in splits.items()}

        fake = SimpleNamespace(load_dataset=load_dataset, Image=lambda decode: {"decode": decode})
        monkeypatch.setitem(sys.modules, "datasets", fake)
        opener = SimpleNamespace(xopen=lambda path, mode: io.BytesIO(files[path]))
        monkeypatch.setitem(sys.modules, "datasets.utils.file_utils", opener)
        return asked

    return put


class Streamed:
    """What `datasets` hands out, as far as it is used."""

    def __init__(self, rows):
        self.rows = rows
        self.features = {"image": object(), "label": SimpleNamespace(names=NAMES)}
        self.info = SimpleNamespace(splits={"train": SimpleNamespace(num_examples=8)})

    def cast_column(self, name, feature):
        assert (name, feature) == ("image", {"decode": False})
        return self.rows


def test_a_hub_data_set_is_streamed(library, pictures):
    rows = [{"image": {"bytes": b, "path": None}, "label": n % 2} for n, b in enumerate(pictures)]
    asked = library({"train": rows[:6], "validation": rows[6:]})
    for _ in range(2):
        index = open_images("hub:someone/pests", test_share=0)
    assert asked == [("someone/pests", None, None, True)]
    assert index.name == "pests" and index.classes == ("ants", "bees")
    assert index.counts("train").tolist() == [3, 3] and index.counts("val").tolist() == [1, 1]


def test_a_configuration_and_a_revision_are_asked_for_and_kept_apart(library, pictures, tmp_path):
    rows = [{"image": {"bytes": b, "path": None}, "label": n % 2} for n, b in enumerate(pictures)]
    asked = library({"train": rows})
    named = {
        "hub:someone/pests:small@v1": ("small", "v1"),
        "hub:someone/pests:small": ("small", None),
        "hub:someone/pests@refs/convert/parquet": (None, "refs/convert/parquet"),
        "hub:someone/pests": (None, None),
    }
    for data in (*named, *named):
        index = open_images(data, cache_dir=tmp_path / "cache", val_share=0, test_share=0)
        assert index.name == ("pests-small" if ":small" in data else "pests")
    assert asked == [("someone/pests", *told, True) for told in named.values()]
    assert len(list((tmp_path / "cache/unpacked").iterdir())) == 4


@pytest.mark.parametrize(
    ("data", "there", "said"),
    [
        ("hub:someone/pests", ["full", "small"],
         "The data set someone/pests has several configurations: name one of full, small, for "
         "example hub:someone/pests:full."),
        ("hub:someone/pests:big@v1", ["full"],
         "The data set someone/pests has no configuration big: name one of full, for example "
         "hub:someone/pests:full@v1."),
        ("hub:someone/pests:full", ["full"],
         "The data set someone/pests:full can't be read from the hub: Bad split"),
        ("hub:someone/pests", ["default"],
         "The data set someone/pests can't be read from the hub: Bad split"),
    ],
)  # fmt: skip
def test_the_configurations_are_said_where_none_of_them_is_named(monkeypatch, data, there, said):
    def load_dataset(*_, **__):
        raise ValueError("Bad split.\nmore")

    asked = []

    def get_dataset_config_names(name, revision):
        asked.append((name, revision))
        return there

    fake = SimpleNamespace(
        load_dataset=load_dataset, get_dataset_config_names=get_dataset_config_names
    )
    monkeypatch.setitem(sys.modules, "datasets", fake)
    with pytest.raises(DataError) as caught:
        open_images(data)
    assert str(caught.value) == said
    assert asked == [("someone/pests", "v1" if "@" in data else None)]


def test_a_data_set_that_does_not_tell_its_columns_is_said(library, monkeypatch):
    library({"train": []})
    monkeypatch.setattr(Streamed, "__init__", lambda self, rows: setattr(self, "features", None))
    with pytest.raises(DataError, match="someone/pests does not say what its columns hold"):
        open_images("hub:someone/pests")


def test_a_hub_that_can_not_be_reached_is_said(monkeypatch):
    def load_dataset(*_, **__):
        raise ConnectionError("no route to the hub\nmore")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(DataError, match="someone/pests can't be read from the hub: no route"):
        open_images("hub:someone/pests")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"lacewing\[hub\]"):
        open_images("hub:someone/pests")


def test_images_that_lie_by_themselves_are_read_where_they_lie(library, pictures):
    """A repository of folders of images, of which the library streams only the places."""
    files = {f"hf://datasets/someone/pests@0/{n}.jpg": b for n, b in enumerate(pictures)}
    rows = [{"image": {"bytes": None, "path": p}, "label": n % 2} for n, p in enumerate(files)]
    library({"train": rows}, files)
    index = open_images("hub:someone/pests", val_share=0, test_share=0)
    assert index.counts("train").tolist() == [4, 4]


def test_a_hub_that_fails_in_the_middle_is_not_taken_for_a_full_disk(library, pictures, tmp_path):
    def rows():
        yield {"image": {"bytes": pictures[0], "path": None}, "label": 0}
        raise OSError("connection reset\nmore")

    library({"train": rows()})
    with pytest.raises(DataError) as caught:
        open_images("hub:someone/pests", cache_dir=tmp_path / "cache")
    assert str(caught.value) == (
        "The data set someone/pests can't be read from the hub: connection reset"
    )
    assert not list((tmp_path / "cache" / "unpacked").iterdir())


def test_a_full_disk_is_not_taken_for_the_hub(library, pictures, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ShardWriter, "add", fail)
    library({"train": [{"image": {"bytes": pictures[0], "path": None}, "label": 0}]})
    with pytest.raises(DataError, match=r"can't be copied into .*No space left on device; set"):
        open_images("hub:someone/pests")


def test_an_image_that_is_no_file_is_said_as_it_is(library):
    library({"train": [{"image": 7, "label": 0}]})
    with pytest.raises(DataError, match="someone/pests holds an image that is not a file's bytes"):
        open_images("hub:someone/pests")
