"""Folders that several processes make at once."""

import os
import time

import pytest

from lacewing.store import made_once as module
from lacewing.store.made_once import STALE_SECONDS, made_once


def is_whole(folder):
    return (folder / "done").exists()


def make(target, *names):
    with made_once(target, is_whole) as folder:
        for name in (*names, "done"):
            (folder / name).touch()


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_the_folder_takes_its_place_and_nothing_is_left_beside_it(tmp_path):
    make(tmp_path / "deeper" / "set", "a")
    assert names(tmp_path / "deeper") == ["set"]
    assert names(tmp_path / "deeper" / "set") == ["a", "done"]


def test_all_is_flushed_before_it_takes_its_place(tmp_path, monkeypatch):
    """Else a power cut could leave the folder with empty files, and the mark that it is whole."""
    flushed = []
    monkeypatch.setattr(
        module, "sync_all", lambda folder: flushed.append((names(folder), names(tmp_path)))
    )
    monkeypatch.setattr(module, "sync_folder", lambda folder: flushed.append(names(folder)))
    make(tmp_path / "set", "a")
    (inside, beside), after = flushed
    assert inside == ["a", "done"]
    assert "set" not in beside
    assert "set" in after


def test_who_was_first_stays(tmp_path):
    with made_once(tmp_path / "set", is_whole) as late:
        make(tmp_path / "set", "first")
        (late / "done").touch()
    assert names(tmp_path / "set") == ["done", "first"]
    assert names(tmp_path) == ["set"]


def test_what_is_not_whole_gives_way(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").touch()
    make(tmp_path / "set", "new")
    assert names(tmp_path / "set") == ["done", "new"]
    assert names(tmp_path) == ["set"]


def test_one_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(OSError, match="full"), made_once(tmp_path / "set", is_whole) as folder:
        (folder / "half").touch()
        raise OSError("full")
    assert names(tmp_path) == ["set"]
    assert names(tmp_path / "set") == []


def test_processes_of_the_same_number_do_not_meet(tmp_path):
    """In containers every process is number 1."""
    with made_once(tmp_path / "set", is_whole) as one, made_once(tmp_path / "set", is_whole) as two:
        assert one != two
        (one / "of one").touch()
        assert names(two) == []
        (one / "done").touch()
        (two / "done").touch()
    assert is_whole(tmp_path / "set")


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    old = time.time() - STALE_SECONDS - 60
    for name in ("set.0123abcd.tmp", "set.4567cdef.tmp", "other.0123abcd.tmp", "set.mine.tmp"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").touch()
        for place in ("deep/file", "deep", "."):
            os.utime(tmp_path / name / place, (old, old))
    # another process is still at it, deep inside
    os.utime(tmp_path / "set.4567cdef.tmp" / "deep" / "file")
    make(tmp_path / "set")
    assert names(tmp_path) == ["other.0123abcd.tmp", "set", "set.4567cdef.tmp", "set.mine.tmp"]
