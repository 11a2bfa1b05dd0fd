"""Shards on a server: the same images as here, and nothing is copied."""

import shutil
import sys

import numpy as np
import pytest

from lacewing.data import remote
from lacewing.data.cached import cache_contents
from lacewing.data.member import open_image
from lacewing.data.open import open_images
from lacewing.data.pixels import load_pixels
from lacewing.data.preprocess import Preprocessing
from lacewing.data.remote import expanded, is_address, remote_name
from lacewing.data.shard_writer import ShardWriter
from lacewing.errors import DataError, MissingExtraError
from shard_server import serving

SETTINGS = Preprocessing(image_size=28, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
PATTERN = "pests-{train,val}-{00000..00000}.tar"


@pytest.fixture
def folder(jpeg, tmp_path):
    root = tmp_path / "there"
    root.mkdir()
    with ShardWriter(root) as writer:
        for number in range(12):
            split = "train" if number < 8 else "val"
            writer.add(split, jpeg(tmp_path / "one.jpg", number, 40).read_bytes(), str(number % 2))
    for split in ("train", "val"):
        found = next(root.glob(f"*{split}*.tar"))
        found.rename(root / f"pests-{split}-00000.tar")
    (root / "classes.txt").write_text("ants\nbees\n")
    return root


@pytest.fixture
def server(folder, monkeypatch):
    monkeypatch.setattr(remote, "WAITS", (0.0, 0.0))
    with serving(folder) as running:
        yield running


@pytest.fixture
def opened(server, tmp_path):
    """`opened()` is the index of what the server has."""

    def call(pattern=PATTERN):
        address = f"{server.address}/{pattern}"
        return open_images(address, test_share=0, cache_dir=tmp_path / "cache")

    return call


@pytest.mark.parametrize(
    ("address", "shards"),
    [
        ("http://h/a.tar", ["http://h/a.tar"]),
        (
            "http://h/a-{08..10}.tar",
            ["http://h/a-08.tar", "http://h/a-09.tar", "http://h/a-10.tar"],
        ),
        ("http://h/{a,b}-{0..1}.tar", [f"http://h/{x}.tar" for x in ("a-0", "a-1", "b-0", "b-1")]),
    ],
)
def test_braces_stand_for_several_shards(address, shards):
    assert expanded(address) == shards


def test_what_is_an_address_and_what_it_is_called():
    assert is_address("https://host/a.tar") and not is_address("data/a.tar")
    assert not is_address("hub:owner/name")
    assert remote_name("https://host/x/pests-{train,val}-{0..3}.tar") == "pests"
    assert remote_name("https://host/{0..3}.tar?token=1") == "data"


def test_too_many_shards_are_refused_before_they_are_counted():
    for address in ("http://h/{0..99999999999}.tar", "http://h/{0..9999}{0..9999}.tar"):
        with pytest.raises(DataError, match="more than 100,000 shards"):
            expanded(address)


def test_the_index_is_that_of_the_same_shards_here(opened, folder):
    there, here = opened(), open_images(folder, test_share=0)
    assert there.classes == here.classes == ("ants", "bees")
    for column in ("label", "split", "width", "height", "bytes", "hash"):
        assert there.table[column].to_pylist() == here.table[column].to_pylist()
    for row in range(len(here)):
        assert open_image(there.path(row)).read() == open_image(here.path(row)).read()
    pixels = [load_pixels(index.path(0), SETTINGS) for index in (there, here)]
    assert np.array_equal(*pixels)
    assert any("The images stay on 127.0.0.1: 2 shards of" in note for note in there.notes)


def test_only_parts_are_read_and_nothing_is_copied(opened, server, tmp_path):
    index = opened()
    server.asked.clear()
    open_image(index.path(0)).read()
    assert server.asked == [("/pests-train-00000.tar", index.column("bytes")[0])]
    kept = {kind.kind: kind for kind in cache_contents(tmp_path / "cache")}
    assert kept["remote"].files == 3
    assert not kept["unpacked"].files


def test_a_second_look_reads_no_image(opened, server):
    images = set(opened().column("bytes").tolist())
    assert images <= {size for _, size in server.asked}
    server.asked.clear()
    opened()
    assert server.asked
    assert not images & {size for _, size in server.asked}


def test_a_shard_that_changed_is_not_read_as_if_it_had_not(opened, folder):
    index = opened()
    shutil.copy(folder / "pests-val-00000.tar", folder / "pests-train-00000.tar")
    with pytest.raises(OSError, match="has changed on the server"):
        open_image(index.path(0))
    assert open_image(opened().path(0)).read()


@pytest.mark.parametrize("failures", [[503], [500, 429]])
def test_a_busy_server_is_asked_again(opened, server, failures):
    index = opened()
    server.failures.extend(failures)
    assert open_image(index.path(0)).read()


def test_after_some_attempts_it_is_an_error(opened, server):
    index = opened()
    server.failures.extend([503] * 3)
    with pytest.raises(OSError, match=r"127\.0\.0\.1 answers 503"):
        open_image(index.path(0))


def test_a_server_that_is_gone_is_an_error(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "WAITS", (0.0,))
    with serving(folder) as server:
        index = open_images(f"{server.address}/{PATTERN}", cache_dir=tmp_path / "cache")
    remote.session.cache_clear()  # its connections would still be answered
    with pytest.raises(OSError, match=r"127\.0\.0\.1 can't be reached"):
        open_image(index.path(0))


def test_what_is_not_there_is_named(opened):
    with pytest.raises(DataError, match=r"The shard .*/none\.tar can't be read: .* answers 404"):
        opened("none.tar")


def test_a_server_without_parts_is_refused(opened, server):
    server.parts = False
    with pytest.raises(DataError, match="whole files only, no parts: copy the shards here"):
        opened()


def test_only_shards_are_taken(opened):
    with pytest.raises(DataError, match=r"pests\.zip is no tar shard"):
        opened("pests.zip")


def test_what_is_no_tar_file_is_refused(opened, folder):
    (folder / "pests-val-00000.tar").write_bytes(b"<html>" * 1000)
    with pytest.raises(DataError, match="can't be read"):
        opened()


def test_a_damaged_stand_in_is_named(opened, tmp_path):
    index = opened()
    stand_in = next((tmp_path / "cache" / "remote").rglob("pests-train*.url"))
    stand_in.write_text("{")
    with pytest.raises(OSError, match="is damaged: remove it"):
        open_image(index.path(0))
    assert open_image(opened().path(0)).read()


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    remote.session.cache_clear()
    with pytest.raises(MissingExtraError, match=r"lacewing\[remote\]"):
        open_images("https://127.0.0.1:1/a.tar", cache_dir=tmp_path)
    remote.session.cache_clear()
