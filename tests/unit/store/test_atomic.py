"""Files that are replaced as a whole."""

import ctypes
import errno
import os
import stat
import sys
import time

import pytest

from lacewing.store import atomic


def refuse_folders(monkeypatch, number):
    """A file system that flushes files, and says `number` of folders."""
    flush = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    """Once there is such a file: many new ones don't each go through their folder."""
    old = time.time() - atomic.STALE_SECONDS - 60
    for name in (".a[1].0123abcd.tmp", ".other.0123abcd.tmp", ".a[1].mine.tmp"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (old, old))
    (tmp_path / ".a[1].4567cdef.tmp").touch()  # another process is still at it
    atomic.write_text(tmp_path / "a[1]", "new")
    assert len(list(tmp_path.iterdir())) == 5
    atomic.write_text(tmp_path / "a[1]", "newer")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a[1]", ".a[1].4567cdef.tmp", ".a[1].mine.tmp", ".other.0123abcd.tmp"}


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes no folders")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_that_flushes_no_folders_will_do(tmp_path, monkeypatch, number):
    refuse_folders(monkeypatch, number)
    atomic.write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes no folders")
def test_a_broken_disk_is_an_error(tmp_path, monkeypatch):
    refuse_folders(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        atomic.write_text(tmp_path / "file", "new")


@pytest.mark.parametrize("platform", [sys.platform, "darwin"])
def test_a_whole_folder_is_flushed(tmp_path, monkeypatch, platform):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text("new")
    flushed = []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(atomic, "sync_file", flushed.append)
    atomic.sync_all(tmp_path)
    assert flushed == ([] if platform == "linux" else [tmp_path / "deep" / "file"])


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_disk_that_can_not_be_flushed_is_an_error(tmp_path, monkeypatch):
    class Library:
        def syncfs(self, _):
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library())
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        atomic.sync_all(tmp_path)
