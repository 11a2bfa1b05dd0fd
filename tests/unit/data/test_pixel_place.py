"""Room for pixel files: the limit, what is deleted for it, and what is not."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lacewing.data import pixel_file, pixel_place
from lacewing.data.pixel_place import delete_unused, lock_shared, make_room, pixel_limit
from lacewing.errors import ConfigError


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
    make_room(full_place / "new.u8", size)
    assert names(full_place) == left


def test_what_can_never_fit_costs_no_other_file(full_place):
    said = r"all decoded images may take 3\.4 KiB; LACEWING_CACHE_GIB sets that limit: "
    with pytest.raises(OSError, match=f"are needed, and {said}"):
        make_room(full_place / "new.u8", 3501)
    assert names(full_place) == "abc"


@pytest.mark.skipif(os.name == "nt", reason="Windows itself keeps files that are in use")
def test_files_in_use_stay(full_place):
    descriptor = os.open(full_place / "a.u8", os.O_RDONLY)
    pixel_place.lock_shared(descriptor)
    make_room(full_place / "new.u8", 1500)
    assert names(full_place) == "ac"
    with pytest.raises(OSError, match="1000 B are in use"):
        make_room(full_place / "new.u8", 3000)
    os.close(descriptor)
    make_room(full_place / "new.u8", 3000)
    assert names(full_place) == ""


def test_the_limit_is_a_share_of_the_disk(cache, monkeypatch):
    class Usage:
        free = 50_000

    monkeypatch.setattr(pixel_place.shutil, "disk_usage", lambda place: Usage)
    assert pixel_limit(cache / "not/there") == 5_000
    cache.mkdir()
    (cache / "a.u8").write_bytes(b"x" * 1_000)
    assert pixel_limit(cache) == 5_100
    Usage.free = 1 << 50
    assert pixel_limit(cache) == 20 * 2**30
    Usage.free = 0
    assert pixel_limit(cache) == 1_000, "what is there already may stay"


@pytest.mark.parametrize(
    ("said", "limit"),
    [("40", 40 * 2**30), ("0.5", 2**29), ("0", 0), ("1000", 100 * 2**30), (" ", 10 * 2**30)],
)
def test_the_environment_may_say_another_limit(cache, monkeypatch, said, limit):
    """100 GiB are free or taken, 10 of them taken."""
    monkeypatch.setattr(pixel_place, "_by_age", lambda folder: [(0.0, folder, 10 * 2**30)])
    usage = SimpleNamespace(free=90 * 2**30)
    monkeypatch.setattr(pixel_place.shutil, "disk_usage", lambda place: usage)
    monkeypatch.setenv("LACEWING_CACHE_GIB", said)
    assert pixel_limit(cache) == limit


def test_room_is_made_down_to_the_limit_that_was_asked_for(cache, monkeypatch):
    cache.mkdir()
    (cache / "a.u8").write_bytes(b"x" * 1000)
    monkeypatch.setenv("LACEWING_CACHE_GIB", str(1500 / 2**30))
    make_room(cache / "new.u8", 600)
    assert names(cache) == ""
    with pytest.raises(OSError, match="LACEWING_CACHE_GIB sets that limit"):
        make_room(cache / "new.u8", 1501)


@pytest.mark.parametrize("said", ["20GB", "-1", "nan", "inf"])
def test_anything_but_a_number_is_refused(cache, monkeypatch, said):
    monkeypatch.setenv("LACEWING_CACHE_GIB", said)
    with pytest.raises(ConfigError, match=f"must be a number of GiB, 0 or more, not '{said}'"):
        pixel_limit(cache)


@pytest.mark.skipif(os.name == "nt", reason="Windows itself keeps files that are in use")
def test_what_another_process_makes_of_the_same_file_does_not_count(full_place):
    made = full_place / "new.u8.12.34.tmp"
    made.write_bytes(b"x" * 3000)
    with made.open("rb") as file:
        lock_shared(file.fileno())
        make_room(full_place / "new.u8", 3000)
        assert list(full_place.iterdir()) == [made]
    make_room(full_place / "new.u8", 3000)
    assert list(full_place.iterdir()) == [], "left by a process that was killed"


@pytest.fixture
def like_nfs(monkeypatch) -> list[int]:
    """Locks as NFS has them: on what is open for writing or reading; all that were given."""
    fcntl = pytest.importorskip("fcntl")
    flock, given = fcntl.flock, []

    def lock(file, kind):
        refused = os.O_RDONLY if kind & fcntl.LOCK_EX else os.O_WRONLY
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == refused:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(file, kind)
        given.append(kind & ~fcntl.LOCK_NB)

    monkeypatch.setattr(fcntl, "flock", lock)
    return given


def test_files_are_deleted_and_made_on_nfs_too(full_place, like_nfs):
    assert delete_unused(full_place / "a.u8")
    pixel_file.create(full_place / "new.u8", b"head", 100)
    with pixel_place.one_at_a_time(full_place):
        pass
    fcntl = pytest.importorskip("fcntl")
    assert like_nfs == [fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_EX]
