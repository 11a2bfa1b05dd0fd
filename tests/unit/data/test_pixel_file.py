"""The disk cache of pixels under real faults: damage, kills, full disks, and many processes."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacewing.data import pixel_file, pixel_place
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.pixel_file import PixelFile, open_pixel_file
from lacewing.data.pixel_table import PAGE, ROW, layout, mark_of
from lacewing.data.pixels import PixelStore, load_pixels, open_kept, pixel_key
from lacewing.data.preprocess import Preprocessing

SETTINGS = Preprocessing(image_size=28, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SCRIPT = """
import os, signal, sys
from pathlib import Path
from lacewing.data.index import ImageIndex
from lacewing.data.pixels import PixelStore
from lacewing.data.preprocess import Preprocessing
settings = Preprocessing(image_size=28, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""


@pytest.fixture
def index(tmp_path, class_folders) -> ImageIndex:
    class_folders(tmp_path / "photos", {"ants": 6, "bees": 6})
    return open_images(tmp_path / "photos", cache_dir=tmp_path / "scans")


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def store(index, cache, **options) -> PixelStore:
    return PixelStore(index, SETTINGS, keep="disk", cache_dir=cache, **options)


def kept(index, cache, on_event=lambda _: None) -> PixelFile:
    file = open_kept(index, SETTINGS, "disk", cache, on_event)
    assert isinstance(file, PixelFile)
    return file


def decoded(index) -> list[np.ndarray]:
    return [load_pixels(path, SETTINGS) for path in index.paths()]


def fill(index, cache) -> Path:
    pixels = store(index, cache)
    for row in range(len(index)):
        pixels.get(row)
    (path,) = (cache / "pixels").glob("*.u8")
    return path


def rows_in(file: PixelFile, index) -> list[int]:
    """The rows that are kept; each must hold its image's pixels."""
    found = []
    for row, pixels in enumerate(decoded(index)):
        place = file.get(row)
        if place is not None:
            assert np.array_equal(place, pixels)
            found.append(row)
    return found


def test_a_later_run_reads_what_an_earlier_one_decoded(index, cache):
    before = decoded(index)
    fill(index, cache)
    for path in index.paths():
        Path(path).unlink()
    pixels = store(index, cache)
    for row in (5, 0, 11):
        assert np.array_equal(pixels.get(row), before[row])
    assert not pixels.lost


def test_what_is_handed_out_can_not_be_written_to(index, cache):
    fill(index, cache)
    pixels = store(index, cache).get(0)
    with pytest.raises(ValueError, match="read-only"):
        pixels[:] = 0


def test_views_outlive_the_store(index, cache):
    fill(index, cache)
    pixels = store(index, cache).get(0)
    assert np.array_equal(pixels, decoded(index)[0])


def test_rows_lie_one_after_another_behind_header_and_table():
    shapes = np.array([[32, 40], [32, 32]] * 300)
    starts, size = layout(shapes)
    assert starts[0] == 6 * PAGE  # the header's, and five of the table
    assert (np.diff(starts) == np.array([3 * 32 * 40, 3 * 32 * 32] * 300)[:-1]).all()
    assert size == starts[-1] + 3 * 32 * 32
    assert layout(np.zeros((0, 2), np.int64))[1] == PAGE


def test_an_index_without_images_has_a_file_too(index, cache):
    assert len(store(index.take(np.array([], np.int64)), cache)) == 0


@pytest.mark.parametrize(
    "change",
    [{"image_size": 32}, {"interpolation": "bicubic"}, {"crop_fraction": 0.9}],
)
def test_other_pixels_have_another_key(change):
    contents = ["aa", "bb"]
    other = Preprocessing(**{**vars(SETTINGS), **change})
    assert pixel_key(contents, other) != pixel_key(contents, SETTINGS)


def test_the_key_is_of_the_contents_in_their_order_alone():
    same = Preprocessing(**{**vars(SETTINGS), "mean": (0.1, 0.2, 0.3)})
    assert pixel_key(["aa", "bb"], same) == pixel_key(["aa", "bb"], SETTINGS)
    assert pixel_key(["bb", "aa"], SETTINGS) != pixel_key(["aa", "bb"], SETTINGS)


def test_a_damaged_row_is_decoded_again_and_mended(index, cache):
    path = fill(index, cache)
    starts = layout(np.array([image.shape[:2] for image in decoded(index)]))[0]
    content = bytearray(path.read_bytes())
    content[starts[3] + 7] ^= 0x10
    path.write_bytes(content)
    file = kept(index, cache)
    assert rows_in(file, index) == [row for row in range(12) if row != 3]
    assert np.array_equal(store(index, cache).get(3), decoded(index)[3])
    assert rows_in(kept(index, cache), index) == list(range(12))


def test_a_damaged_mark_is_noticed(index, cache):
    path = fill(index, cache)
    content = bytearray(path.read_bytes())
    content[PAGE + ROW.itemsize * 2] ^= 1
    path.write_bytes(content)
    assert 2 not in rows_in(kept(index, cache), index)


@pytest.mark.parametrize("damage", ["short", "empty", "long", "other"])
def test_a_file_that_is_not_whole_or_not_ours_is_made_anew(index, cache, damage):
    path = fill(index, cache)
    content = path.read_bytes()
    path.write_bytes({
        "short": content[:-1], "empty": b"", "long": content + b"x", "other": b"x" + content[1:],
    }[damage])  # fmt: skip
    assert rows_in(kept(index, cache), index) == []
    assert path.stat().st_size == len(content)
    fill(index, cache)
    assert rows_in(kept(index, cache), index) == list(range(12))


def test_a_file_that_was_replaced_since_the_scan_is_not_kept(index, cache):
    noise = np.random.default_rng(99).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(index.paths()[1], quality=90)
    pixels = store(index, cache)
    assert np.array_equal(pixels.get(1), load_pixels(index.paths()[1], SETTINGS))
    pixels.get(0)
    assert rows_in(kept(index, cache), index) == [0]


def test_where_no_folder_can_be_made_nothing_is_kept_and_it_is_said(index, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    said = []
    pixels = store(index, tmp_path / "file", on_event=said.append)
    assert np.array_equal(pixels.get(0), decoded(index)[0])
    assert len(said) == 1
    assert said[0].startswith(f"Decoded images can't be kept in {tmp_path / 'file' / 'pixels'} (")
    assert said[0].endswith("): each is decoded every time it is used")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(index, cache):
    (cache / "pixels").mkdir(parents=True)
    (cache / "pixels").chmod(0o500)
    said = []
    assert store(index, cache, on_event=said.append).get(0).shape == (32, 32, 3)
    assert "Permission denied" in said[0]


def refuse_writing(path, number):
    """An `os.open` that opens one file for reading only, as on a read-only disk."""
    opened = os.open

    def refusing(place, flags, *rest, **more):
        if Path(place) == path and flags & os.O_RDWR:
            raise OSError(number, os.strerror(number), str(place))
        return opened(place, flags, *rest, **more)

    return refusing


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_what_lies_on_a_read_only_disk_is_used(index, cache, monkeypatch, number):
    path = fill(index, cache)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(pixel_file.os, "open", refuse_writing(path, number))
    monkeypatch.setattr(pixel_file.os, "utime", refuse)
    said = []
    assert rows_in(kept(index, cache, said.append), index) == list(range(12))
    assert said == []


def test_what_is_not_there_on_a_read_only_disk_is_said_once(index, cache, monkeypatch):
    store(index, cache).get(3)
    (path,) = (cache / "pixels").glob("*.u8")
    monkeypatch.setattr(pixel_file.os, "open", refuse_writing(path, errno.EROFS))
    said = []
    pixels = store(index, cache, on_event=said.append)
    assert all(np.array_equal(pixels.get(n), one) for n, one in enumerate(decoded(index)))
    assert said == [
        f"{path} can't be written (Read-only file system): what is not in it yet is decoded each "
        "time it is used"
    ]
    monkeypatch.undo()
    assert rows_in(kept(index, cache), index) == [3]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_that_belongs_to_another_user_is_used(index, cache):
    fill(index, cache).chmod(0o400)
    assert rows_in(kept(index, cache), index) == list(range(12))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux keeps space for a file")
def test_a_full_disk_is_an_error_at_opening(index, cache):
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "said = []\n"
        "pixels = PixelStore(ImageIndex.load(Path(sys.argv[1])), settings, keep='disk',\n"
        "                    cache_dir=Path(sys.argv[2]), on_event=said.append)\n"
        "print(pixels.get(0).shape, said)"
    )
    out = run(index, cache, code)
    assert out.startswith("(32, 32, 3) [\"Decoded images can't be kept in ")
    assert "File too large" in out
    assert list((cache / "pixels").glob("*.u8*")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_full_small_disk(index, tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a small disk")
    try:
        (disk / "pixels").mkdir()
        with pytest.raises(OSError, match="No space left"):
            pixel_file.create(disk / "pixels/a.u8", b"header", 40_000)
        assert list((disk / "pixels").iterdir()) == []
        monkeypatch.setattr(pixel_place, "pixel_limit", lambda folder: 1 << 40)
        said = []
        assert store(index, disk, on_event=said.append).get(0).shape == (32, 32, 3)
        assert len(said) == 1
        assert "No space left on device" in said[0]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_write_that_fails_later_is_told_once_and_is_the_last(index, cache, monkeypatch):
    said = []
    file = kept(index, cache, said.append)
    pixels = decoded(index)
    file.put(0, pixels[0])

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pixel_file.os, "write", refuse)
    file.put(1, pixels[1])
    monkeypatch.undo()
    file.put(2, pixels[2])
    assert said == [
        f"{file.path} can't be written (No space left on device): what is not in it yet is "
        "decoded each time it is used"
    ]
    assert rows_in(file, index) == [0]


def test_a_row_cut_short_in_writing_is_not_taken_for_whole(index, cache, monkeypatch):
    file = kept(index, cache)
    write, calls = os.write, []

    def cut(descriptor, content):
        calls.append(len(content))
        return write(descriptor, content[:1000])

    monkeypatch.setattr(pixel_file.os, "write", cut)
    file.put(4, decoded(index)[4])
    assert calls[:4] == [3072, 2072, 1072, 72]
    assert rows_in(file, index) == [4]


def run(index, cache, code, expect=0) -> str:
    """What Python code says in a process of its own, with the index and the cache as words."""
    index.save(cache.parent / "index.arrow")
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT + code, str(cache.parent / "index.arrow"), str(cache)],
        capture_output=True,
        text=True,
    )
    assert process.returncode == expect, process.stderr
    return process.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.slow
def test_a_run_that_was_killed_is_taken_up(index, cache):
    code = (
        "pixels = PixelStore(ImageIndex.load(Path(sys.argv[1])), settings, keep='disk',\n"
        "                    cache_dir=Path(sys.argv[2]))\n"
        "for row in range(5): pixels.get(row)\n"
        "write = os.write\n"
        "def die(descriptor, content):\n"
        "    write(descriptor, content[:100])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.write = die\n"
        "pixels.get(5)\n"
    )
    run(index, cache, code, expect=-signal.SIGKILL)
    assert rows_in(kept(index, cache), index) == [0, 1, 2, 3, 4]
    fill(index, cache)
    assert rows_in(kept(index, cache), index) == list(range(12))


@pytest.mark.slow
def test_two_processes_build_one_file(index, cache):
    index.save(cache.parent / "index.arrow")
    code = (
        "print('ready', flush=True); sys.stdin.readline()\n"
        "pixels = PixelStore(ImageIndex.load(Path(sys.argv[1])), settings, keep='disk',\n"
        "                    cache_dir=Path(sys.argv[2]), on_event=print)\n"
        "for row in eval(sys.argv[3]): pixels.get(row)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT + code, str(cache.parent / "index.arrow"), str(cache),
             rows],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for rows in ("range(12)", "reversed(range(12))", "range(0, 12, 2)")
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    outputs = [process.communicate("\n")[0] for process in processes]
    assert outputs == ["", "", ""]
    assert len(list((cache / "pixels").glob("*.u8*"))) == 1
    assert rows_in(kept(index, cache), index) == list(range(12))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_who_comes_second_waits_for_the_first_ones_file(index, cache, monkeypatch):
    create, calls, begun = pixel_file.create, [], threading.Event()

    def slow(path, head, size):
        calls.append(size)
        begun.set()
        time.sleep(0.3)
        create(path, head, size)

    monkeypatch.setattr(pixel_file, "create", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(kept, index, cache)
        assert begun.wait(60)
        monkeypatch.setattr(pixel_place, "pixel_limit", lambda folder: calls[0])
        second = kept(index, cache)
        assert os.path.samestat(os.fstat(first.result()._file), os.fstat(second._file))
    assert len(calls) == 1


def test_where_no_locks_are_had_a_file_is_made_too(index, cache, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    fill(index, cache)
    assert rows_in(kept(index, cache), index) == list(range(12))


def test_of_two_that_make_a_file_the_first_ones_stays(cache):
    cache.mkdir()
    (cache / "a.u8").write_bytes(b"first")
    pixel_file.create(cache / "a.u8", b"second", 100)
    assert (cache / "a.u8").read_bytes() == b"first"
    assert [path.name for path in cache.iterdir()] == ["a.u8"]


def test_without_hard_links_a_file_is_made_too(cache, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(pixel_file.os, "link", refuse)
    cache.mkdir()
    pixel_file.create(cache / "a.u8", b"header", 100)
    assert (cache / "a.u8").read_bytes() == b"header" + b"\0" * 94


class Library:
    """A C library whose fallocate fails with these errors, one after the other."""

    def __init__(self, *errors):
        self._errors = list(errors)

    def fallocate(self, *_):
        if not self._errors:
            return 0
        ctypes.set_errno(self._errors.pop(0))
        return -1


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS])
def test_space_is_asked_for_where_it_can_not_be_kept(cache, monkeypatch, platform, number):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library(number))
    cache.mkdir()
    pixel_file.create(cache / "a.u8", b"header", 1 << 20)
    state = (cache / "a.u8").stat()
    assert state.st_size == 1 << 20
    if os.name != "nt":
        assert state.st_blocks * 512 < 1 << 19, "its blocks were written"
    with pytest.raises(OSError, match="No space left"):
        pixel_file.create(cache / "b.u8", b"header", 1 << 60)
    assert not (cache / "b.u8").exists()


def test_a_signal_does_not_keep_a_file_from_its_space(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library(errno.EINTR, errno.EINTR))
    assert pixel_file.space_is_kept(0, 100)


def test_an_open_pixel_file_is_in_use(index, cache, monkeypatch):
    path = fill(index, cache)
    monkeypatch.setattr(pixel_place, "pixel_limit", lambda folder: path.stat().st_size + 10)
    pixels = store(index, cache).get(0)
    assert not pixel_place.delete_unused(path)
    del pixels
    assert pixel_place.delete_unused(path)


def test_opening_is_a_use(index, cache):
    path = fill(index, cache)
    os.utime(path, (1e9, 1e9))
    kept(index, cache)
    assert path.stat().st_mtime > 1e9


def test_a_mark_is_the_crc_with_a_bit_above():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert mark_of(pixels) == 2**32 + zlib.crc32(bytes(range(12)))


def test_open_pixel_file_names_its_file_by_the_key(cache):
    file = open_pixel_file(cache, "00ff", np.array([[2, 2]]), ["gone.jpg"], ["aa"])
    assert file.path == cache / "00ff.u8"
    file.put(0, np.zeros((2, 2, 3), np.uint8))  # the image is not there: not kept
    assert file.get(0) is None
