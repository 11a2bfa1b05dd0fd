"""Room for pixel files: the limit, what is deleted for it, and what is not."""

import os
from pathlib import Path

import pytest

from lacewing.data import pixel_place
from lacewing.data.pixel_place import make_room, pixel_limit


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def full_place(cache, monkeypatch) -> Path:
    """A folder with three files of 1000 bytes, a the oldest, where 3500 bytes are allowed."""
    cache.mkdir()
    for age, name in enumerate(("c", "b", "a")):
        (cache / f"{name}.u8").write_bytes(b"x" * 1000)
        os.utime(cache / f"{name}.u8", (1e9 - age, 1e9 - age))
    monkeypatch.setattr(pixel_place, "pixel_limit", lambda folder: 3500)
    return cache


def names(folder: Path) -> str:
    return "".join(sorted(path.stem for path in folder.iterdir()))


@pytest.mark.parametrize(
    ("size", "left"), [(500, "abc"), (501, "bc"), (1500, "bc"), (1501, "c"), (3500, "")]
)
def test_room_is_made_by_the_least_recently_used(full_place, size, left):
    make_room(full_place, size)
    assert names(full_place) == left


def test_what_can_never_fit_costs_no_other_file(full_place):
    with pytest.raises(OSError, match="are needed, and all decoded images may take"):
        make_room(full_place, 3501)
    assert names(full_place) == "abc"


@pytest.mark.skipif(os.name == "nt", reason="Windows itself keeps files that are in use")
def test_files_in_use_stay(full_place):
    descriptor = os.open(full_place / "a.u8", os.O_RDONLY)
    pixel_place.lock_shared(descriptor)
    make_room(full_place, 1500)
    assert names(full_place) == "ac"
    with pytest.raises(OSError, match="1000 B are in use"):
        make_room(full_place, 3000)
    os.close(descriptor)
    make_room(full_place, 3000)
    assert names(full_place) == ""


def test_the_limit_is_a_share_of_the_disk(cache, monkeypatch):
    class Usage:
        free = 50_000

    monkeypatch.setattr(pixel_place.shutil, "disk_usage", lambda place: Usage)
    assert pixel_limit(cache / "not/there") == 5_000
    cache.mkdir()
    (cache / "a.u8").write_bytes(b"x" * 10_000)
    assert pixel_limit(cache) == 6_000
    Usage.free = 1 << 50
    assert pixel_limit(cache) == 20 * 2**30
