"""Shards on a server: the same images as here, and nothing is copied."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lacewing.data.audit.extensions import wrong_extension
from lacewing.data.audit.read import read_images
from lacewing.data.member import open_image, read_head, remote_of
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore, load_pixels
from lacewing.data.preprocess import Preprocessing
from lacewing.data.remote import server as asking
from lacewing.data.remote.stand_in import SUFFIX, remote_folder, remote_shard
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
    (root / "classes.txt").write_bytes("ants\nKäfer\n".encode())
    return root


@pytest.fixture(autouse=True)
def slept(monkeypatch, tmp_path):
    """The seconds that were waited for servers, which pass at once."""
    waits: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(waits), sleep=waits.append)
    monkeypatch.setattr(asking, "time", clock)
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))
    return waits


@pytest.fixture
def server(folder):
    with serving(folder) as running:
        yield running


@pytest.fixture
def opened(server):
    """`opened()` is the index of what the server has."""
    return lambda pattern=PATTERN: open_images(f"{server.address}/{pattern}", test_share=0)


def test_the_index_is_that_of_the_same_shards_here(opened, folder):
    there, here = opened(), open_images(folder, test_share=0)
    assert there.classes == here.classes == ("ants", "Käfer")
    assert there.name == "pests"
    for column in ("label", "split", "width", "height", "bytes", "hash"):
        assert there.table[column].to_pylist() == here.table[column].to_pylist()
    for row in range(len(here)):
        assert open_image(there.path(row)).read() == open_image(here.path(row)).read()
    pixels = [load_pixels(index.path(0), SETTINGS) for index in (there, here)]
    assert np.array_equal(*pixels)
    assert any("The images stay on 127.0.0.1: 2 shards of" in note for note in there.notes)


def test_only_parts_are_read_and_nothing_is_copied(opened, server):
    index = opened()
    server.asked.clear()
    open_image(index.path(0)).read()
    assert read_head(index.path(0), 16)[:2] == b"\xff\xd8"
    assert wrong_extension(Path(index.path(0))) is None
    shard, size = "/pests-train-00000.tar", index.column("bytes")[0]
    assert server.asked == [(shard, size), (shard, 16), (shard, 32)]
    kept = sum(file.stat().st_size for file in remote_folder().rglob("*") if file.is_file())
    assert kept < 4096


def test_an_audit_knows_how_many_readers_a_server_takes(server, folder):
    assert read_images(f"{server.address}/{PATTERN}").readers == asking.READERS
    assert read_images(folder).readers == 1


def test_pixels_on_the_disk_ask_for_each_image_once(opened, server, tmp_path):
    index = opened()
    server.asked.clear()
    store = PixelStore(index, SETTINGS, keep="disk", cache_dir=tmp_path / "pixels")
    first = [store.get(row).copy() for row in range(len(index))]
    again = [store.get(row) for row in range(len(index))]
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert sorted(size for _, size in server.asked) == sorted(index.column("bytes"))


def test_a_second_look_reads_neither_images_nor_the_list_of_them(opened, server):
    opened()
    server.asked.clear()
    opened()
    assert {size for path, size in server.asked if path.endswith(".tar")} == {1}


def test_another_signature_reads_no_image_anew_and_is_used_from_then_on(opened, server):
    first = opened(f"{PATTERN}?sig=A")
    server.asked.clear()
    again = opened(f"{PATTERN}?sig=B{'b' * 40}")
    assert again.table.equals(first.table)
    assert {size for path, size in server.asked if ".tar" in path} == {1}
    server.asked.clear()
    assert open_image(first.path(0)).read()
    assert server.asked[-1][0].endswith(f"?sig=B{'b' * 40}")


def test_a_shard_that_changed_is_not_read_as_if_it_had_not(opened, folder):
    index = opened()
    shutil.copy(folder / "pests-val-00000.tar", folder / "pests-train-00000.tar")
    with pytest.raises(DataError, match="has changed on the server"):
        open_image(index.path(0))
    # nor after another command has looked at what is there now
    other = opened()
    assert open_image(other.path(0)).read()
    remote_shard.cache_clear()
    with pytest.raises(DataError, match="has changed on the server"):
        open_image(index.path(0))


@pytest.mark.parametrize("failures", [[503], [500, 429]])
def test_a_busy_server_is_asked_again(opened, server, failures):
    index = opened()
    server.failures.extend(failures)
    assert open_image(index.path(0)).read()


def test_after_half_a_minute_it_is_an_error(opened, server, slept):
    index = opened()
    server.failures.extend([503] * 100)
    with pytest.raises(DataError, match=r"127\.0\.0\.1 answers 503, but the images lie there"):
        open_image(index.path(0))
    assert 30 < sum(slept) < 40


def test_a_server_that_is_gone_is_an_error_and_no_lost_image(folder):
    with serving(folder) as server:
        index = open_images(f"{server.address}/{PATTERN}")
        store = PixelStore(index, SETTINGS, keep="none")
    asking.session.cache_clear()  # its connections would still be answered
    with pytest.raises(DataError, match=r"127\.0\.0\.1 can't be reached"):
        store.get(0)
    assert not store.lost


def test_a_server_that_fails_while_all_is_looked_at_leaves_no_half_data_set(opened, server):
    server.good = 2 + 1 + 2 + 5  # sizes, names, lists of members, and five of the twelve images
    with pytest.raises(DataError, match=r"127\.0\.0\.1 answers 403"):
        opened()
    server.good = 1000
    assert len(opened()) == 12


def test_a_cleared_cache_does_not_end_what_runs(opened):
    index = opened()
    assert open_image(index.path(0)).read()
    shutil.rmtree(remote_folder())
    assert open_image(index.path(1)).read()


def test_what_is_not_there_is_named(opened):
    with pytest.raises(DataError, match=r"/none\.tar can't be read: 127\.0\.0\.1 answers 404"):
        opened("none.tar")


def test_a_server_without_parts_is_refused(opened, server):
    server.parts = False
    with pytest.raises(DataError, match="whole files only, no parts: copy the shards here"):
        opened()


def test_what_is_no_tar_file_is_refused(opened, folder):
    (folder / "pests-val-00000.tar").write_bytes(b"<html>" * 1000)
    with pytest.raises(DataError, match="can't be read"):
        opened()


def test_a_page_in_the_place_of_the_names_is_none(opened, folder):
    (folder / "classes.txt").write_text("<!doctype html>no such file")
    assert opened().classes == ("0", "1")


def test_a_stand_in_outside_of_the_cache_is_not_obeyed(opened, server, tmp_path):
    index = opened()
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for stand_in in remote_folder().rglob(f"*{SUFFIX}"):
        shutil.copy(stand_in, stranger)
    server.asked.clear()
    with pytest.raises(DataError, match="no images"):
        open_images(stranger)
    with pytest.raises(FileNotFoundError):
        open_image(stranger / index.path(0).rpartition("/")[2])
    assert not server.asked


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(MissingExtraError, match=r"lacewing\[remote\]"):
        open_images("https://127.0.0.1:1/a.tar")


def test_a_cache_behind_a_link_serves_images_too(opened, tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "link" / "cache"))
    index = opened()
    assert remote_of(index.path(0)) is not None
    assert load_pixels(index.path(0), SETTINGS).ndim == 3
