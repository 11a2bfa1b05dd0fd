"""Parquet files are copied into shards, once."""

import json
import os
import shutil
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lacewing.data.member import open_image
from lacewing.data.names import find_names
from lacewing.data.open import open_images
from lacewing.data.parquet import shards_of_parquet
from lacewing.data.shard_writer import ShardWriter
from lacewing.data.shards import read_shard
from lacewing.errors import DataError
from lacewing.store.made_once import STALE_SECONDS

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


@pytest.mark.parametrize(
    "name", ["default/{}-0.parquet", "{}/0000.parquet", "default/{}/0000.parquet"]
)
def test_splits_and_a_configuration_may_have_folders(parquet, name):
    for file in [*(parquet / "data").iterdir()]:
        place = parquet / name.format(file.name.split("-")[0])
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place.with_stem(place.stem + file.name[6:11]))
    (parquet / "data").rmdir()
    index = open_images(parquet, val_share=0)
    assert index.counts("train").tolist() == [3, 3] and index.counts("test").tolist() == [1, 1]


def test_of_several_configurations_one_has_to_be_named(parquet):
    (parquet / "data").rename(parquet / "small")
    shutil.copytree(parquet / "small", parquet / "large")
    with pytest.raises(DataError, match="in the folders large, small: name one of them"):
        open_images(parquet)
    assert len(open_images(parquet / "small", val_share=0)) == 8


def test_parquet_becomes_an_index(parquet, pictures):
    seen = []
    index = open_images(parquet, val_share=0, progress=lambda *done: seen.append(done))
    assert index.name == "pests" and index.classes == ("ants", "bees")
    assert index.counts("train").tolist() == [3, 3] and index.counts("test").tolist() == [1, 1]
    assert sorted(open_image(path).read() for path in index.paths()) == sorted(pictures)
    assert seen[7] == (8, 8)
    assert any("were copied into" in note for note in index.notes)


def test_it_is_copied_once_and_again_when_it_changed(parquet, tmp_path):
    first = shards_of_parquet(parquet, tmp_path / "cache")
    state = (first / "train-00000.tar").stat().st_mtime_ns
    assert shards_of_parquet(parquet, tmp_path / "cache") == first
    assert (first / "train-00000.tar").stat().st_mtime_ns == state
    (parquet / "data" / "train-00001-of-00002.parquet").unlink()
    second = shards_of_parquet(parquet, tmp_path / "cache")
    assert second != first
    assert len(read_shard(second / "train-00000.tar", second).entries) == 3


def touched(parquet, names="*.parquet"):
    """The folder with a file that says it is newer than it was."""
    file = next((parquet / "data").glob(names))
    state = file.stat()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    return parquet


def test_an_older_copy_stays_for_the_runs_that_began_with_it(parquet, tmp_path, pictures):
    before = open_images(parquet, cache_dir=tmp_path)
    after = open_images(touched(parquet), cache_dir=tmp_path)
    assert before.root != after.root and before.fingerprint() == after.fingerprint()
    assert sorted(open_image(path).read() for path in before.paths()) == sorted(pictures)


def test_what_a_killed_process_left_of_an_older_copy_goes(parquet, tmp_path):
    first = shards_of_parquet(parquet, tmp_path)
    left = first.with_name(f"{first.name}.0123abcd.tmp")
    left.mkdir()
    os.utime(left, (time.time() - STALE_SECONDS - 60,) * 2)
    second = shards_of_parquet(touched(parquet), tmp_path)
    assert set((tmp_path / "unpacked").iterdir()) == {first, second}


def test_a_copy_that_was_cut_short_is_made_again(parquet, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "add", fail)
        with pytest.raises(DataError, match="No space left on device; set LACEWING_CACHE"):
            shards_of_parquet(parquet, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "unpacked").iterdir())
    assert len(list(shards_of_parquet(parquet, tmp_path / "cache").glob("*.tar"))) == 2


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
    with pytest.raises(DataError, match=r"(?s)train-00000-.*can't be read .*get it again"):
        open_images(parquet)


def test_a_shard_of_its_own_size_is_begun(tmp_path, pictures):
    with ShardWriter(tmp_path, shard_bytes=4000) as writer:
        for number, picture in enumerate(pictures):
            writer.add(None, picture, str(number))
    files = sorted(tmp_path.glob("images-*.tar"))
    assert len(files) > 2
    assert [e.key for file in files for e in read_shard(file, tmp_path).entries] == list("01234567")


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


def rewritten(parquet, name, **columns):
    """Write a parquet file beside the others."""
    pq.write_table(pa.table(columns), parquet / "data" / f"{name}.parquet")


def test_a_file_without_images_is_passed_over_and_said(parquet, pictures):
    rewritten(parquet, "a-metadata", file=["1.jpg"], label=[1])
    index = open_images(parquet, val_share=0)
    assert len(index) == 8 and index.classes == ("ants", "bees")
    assert "a-metadata.parquet: no column of images, passed over." in index.notes


@pytest.mark.parametrize("name", ["a-first", "z-last"])
def test_a_file_without_labels_is_passed_over_wherever_it_stands(parquet, pictures, name):
    rewritten(parquet, name, image=pictures[:3], text=["x"] * 3)
    index = open_images(parquet, val_share=0, test_share=0)
    assert len(index) == 8 and index.classes == ("ants", "bees")
    assert any(note.startswith("3 of the images have no label") for note in index.notes)


def test_columns_may_be_called_otherwise_in_another_file(parquet, pictures):
    rewritten(parquet, "val-more", img=pictures[:2], category=[0, 1])
    assert open_images(parquet, test_share=0).counts("val").tolist() == [1, 1]


def test_beside_other_folders_any_file_with_images_counts(parquet, pictures):
    rewritten(parquet, "a-metadata", file=["1.jpg"], label=[1])
    (parquet / "docs").mkdir()
    assert len(open_images(parquet, val_share=0)) == 8


def test_an_image_that_is_named_and_not_there_is_said(parquet, tmp_path):
    cells = pa.array([{"bytes": None, "path": str(tmp_path / "gone.jpg")}], IMAGE)
    rewritten(parquet, "train-more", image=cells, label=[1])
    with pytest.raises(DataError, match=r"train-more.parquet names the image .*gone.jpg, which"):
        open_images(parquet)


def test_names_of_a_table_are_not_doubted_where_its_first_class_has_no_image(parquet, tmp_path):
    """A classes.txt that somebody wrote would be taken to be off by one."""
    for file in (parquet / "data").glob("*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table.filter(pc.equal(table["label"], 1)), file)
    copy = shards_of_parquet(parquet, tmp_path)
    assert find_names(copy, {"1"}) == ({"0": "ants", "1": "bees"}, ())
