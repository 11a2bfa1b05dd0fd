"""What lies in the cache, and what clearing it deletes."""

import gc
import os
import re
import time
from pathlib import Path

import pytest

import lacewing
from lacewing.data.cache import COPIED, DRAWN, UNPACKED
from lacewing.data.cached import KINDS, cache_contents, clear_cache
from lacewing.data.locate import SAMPLE
from lacewing.data.open import open_images
from lacewing.data.pixel_place import LOCK
from lacewing.data.pixels import PixelStore
from lacewing.data.preprocess import Preprocessing
from lacewing.store.made_once import STALE_SECONDS

JOINED = re.compile(r"""\bcache(?:_dir|_folder\(\))?(?:\.resolve\(\))?\)? / (f?"[^"]*"|\w+)""")
"""Where the code names something in the cache folder: `cache_folder() / "models"`."""


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "cache"
    for name in ("scans/a.arrow", "pixels/a.u8", "pixels/b.u8", "unpacked/x/1.jpg", "mine.txt"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"x" * 5000)
    (place / "pixels" / LOCK).touch()
    return place


def counts(folder):
    return {one.kind: one.files for one in cache_contents(folder)}


def test_every_kind_is_told(folder):
    assert counts(folder) == dict.fromkeys(KINDS, 0) | {"scans": 1, "pixels": 2, "unpacked": 1}
    sizes = {one.kind: one.bytes for one in cache_contents(folder)}
    assert 10_000 <= sizes["pixels"] < 40_000
    assert sizes["sample"] == 0


def test_a_cache_that_is_not_there_is_empty(tmp_path):
    assert counts(tmp_path / "none") == dict.fromkeys(KINDS, 0)
    assert clear_cache(tmp_path / "none") == 0


def test_one_kind_is_cleared(folder):
    before = {one.kind: one.bytes for one in cache_contents(folder)}
    assert clear_cache(folder, "pixels") == before["pixels"]
    assert counts(folder) == dict.fromkeys(KINDS, 0) | {"scans": 1, "unpacked": 1}


def test_nothing_that_the_code_puts_there_is_unknown():
    source = Path(lacewing.__file__).parent
    joined = {
        found.strip('"')
        for file in source.rglob("*.py")
        for found in JOINED.findall(file.read_text(encoding="utf-8"))
    }
    assert {SAMPLE if name == "SAMPLE" else name for name in joined} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told_and_cleared(tmp_path, kind):
    (tmp_path / kind / "deep").mkdir(parents=True)
    (tmp_path / kind / "deep" / "file").write_bytes(b"x")
    assert counts(tmp_path)[kind] == 1
    clear_cache(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_counts(folder):
    (folder / "scans/.a.arrow.0123abcd.tmp").write_bytes(b"x" * 5000)
    assert counts(folder)["scans"] == 2


def test_what_a_killed_process_left_goes_too(folder):
    left = folder / "sample.0123abcd.tmp"
    left.mkdir()
    os.utime(left, (time.time() - STALE_SECONDS - 60,) * 2)
    clear_cache(folder, "sample")
    assert not left.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
@pytest.mark.parametrize(
    ("kind", "copy", "mark"),
    [("unpacked", "unpacked/set", COPIED), ("unpacked", "unpacked/set", UNPACKED),
     ("sample", "sample", DRAWN)],
)  # fmt: skip
def test_a_copy_that_a_run_reads_from_stays(folder, class_folders, kind, copy, mark):
    class_folders(folder / copy, {"ants": 10, "bees": 10})
    (folder / copy / mark).touch()
    (folder / "unpacked/loose").touch()
    index = open_images(folder / copy, cache_dir=folder)
    image, said = Path(index.path(0)), []
    middle = (0.5, 0.5, 0.5)
    rule = Preprocessing(image_size=8, mean=middle, std=middle)
    store = PixelStore(index, rule, keep="none")
    freed = clear_cache(folder, on_event=said.append)
    assert said == [f"{folder / copy} stays: a run reads from it."]
    assert image.exists()
    assert counts(folder) == dict.fromkeys(KINDS, 0) | {kind: 20}
    assert store.get(0).shape[2] == 3
    del store
    gc.collect()
    assert clear_cache(folder, kind) > 0 < freed
    assert not image.exists()


def test_everything_of_ours_is_cleared_and_nothing_else(folder):
    clear_cache(folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_what_a_link_leads_to_is_not_deleted(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/photo.jpg").write_bytes(b"x")
    (folder / "sample").symlink_to(tmp_path / "other")
    (folder / "unpacked/link").symlink_to(tmp_path / "other")
    said: list[str] = []
    assert clear_cache(folder, "sample", said.append) == 0
    assert said == [
        f"{folder / 'sample'} was a link and is removed; what it led to still lies in "
        f"{(tmp_path / 'other').resolve()}."
    ]
    clear_cache(folder)
    assert (tmp_path / "other/photo.jpg").exists()
    assert not (folder / "sample").is_symlink()
