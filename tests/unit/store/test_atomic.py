"""Files that are replaced as a whole."""

import errno
import os
import stat

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
