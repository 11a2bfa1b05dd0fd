"""The scan: what is readable, what isn't and why, and what is kept for the next time."""

import json
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image

from lacewing.data import named_files, scan_cache
from lacewing.data import scan as scanning
from lacewing.data.in_order import MOST_WAITING
from lacewing.data.named_files import absolute, common_folder, find_files
from lacewing.data.open import open_images
from lacewing.data.scan import Scan, Scanned, scan
from lacewing.data.scan_cache import ScanRow, Scans, cache_file, load_scans, read_scans, save_scans


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it has this size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 64)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def results_of(scanned: Scan) -> list[Scanned | str]:
    """Of each path, in order: what was found out, or why the file can't be used."""
    images = (Scanned(**row) for row in scanned.table.to_pylist())
    results = dict(zip(scanned.rows.tolist(), images, strict=True)) | scanned.reasons
    return [results[row] for row in range(len(results))]


def only(path: Path, **options) -> Scanned | str:
    return results_of(scan(path.parent, [path.name], **options))[0]


def kept_of(cache: Path, folder: str | Path) -> dict[str, ScanRow]:
    """What is kept for a folder, by absolute path."""
    rows = read_scans(cache_file(cache, folder)).to_pylist()
    return {os.fsdecode(row.pop("path")): ScanRow(**row) for row in rows}


def test_a_readable_image(tmp_path, jpeg_bytes):
    (tmp_path / "a.jpg").write_bytes(jpeg_bytes)
    found = only(tmp_path / "a.jpg")
    assert isinstance(found, Scanned)
    assert (found.width, found.height, found.bytes) == (64, 64, len(jpeg_bytes))
    assert len(found.hash) == 32


def test_size_is_that_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 300), "green").save(tmp_path / "a.jpg", exif=exif)
    found = only(tmp_path / "a.jpg")
    assert isinstance(found, Scanned)
    assert (found.width, found.height) == (300, 400)


def test_unreadable_files_have_their_reasons(tmp_path, jpeg_bytes):
    files = {
        "truncated.jpg": (jpeg_bytes[: len(jpeg_bytes) // 2], "truncated"),
        "header.jpg": (jpeg_bytes[:30], None),
        "empty.jpg": (b"", "empty file"),
        "text.jpg": (b"<html>404</html>", "not an image"),
        "bomb.png": (png_of(20_000, 20_000), "more than 179 megapixels"),
        "vast.png": (png_of(2**31 - 1, 2**31 - 1), None),
        "short.png": (png_of(200, 200), None),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    results = results_of(scan(tmp_path, list(files)))
    for (name, (_, reason)), result in zip(files.items(), results, strict=True):
        assert isinstance(result, str) and result, name
        assert reason is None or result == reason, name


@pytest.mark.parametrize("major", ["heic", "heix", "mif1", "msf1"])
def test_a_phones_photo_under_another_name_is_told(tmp_path, major):
    brands = major.encode() + bytes(4) + b"mif1heic"
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftyp" + brands + b"\0\0\0\x30meta" + bytes(40))
    assert only(tmp_path / "a.jpg") == "a HEIC photo: convert it to JPEG"


@pytest.mark.parametrize("brands", [b"avif\0\0\0\0avifmif1", b"mif1\0\0\0\0mif1avif"])
def test_avif_is_not_taken_for_a_phones_photo(tmp_path, monkeypatch, brands):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftyp" + brands + b"\0\0\0\x30meta" + bytes(40))
    assert "HEIC" not in only(tmp_path / "a.jpg")
    for module in ("rgb", "scan"):
        monkeypatch.setattr(f"lacewing.data.{module}.known_formats", lambda: ("JPEG",))
    assert only(tmp_path / "a.jpg") == "an AVIF photo: convert it to JPEG"


@pytest.mark.skipif(os.name == "nt", reason="the stub is a shell script")
def test_no_image_starts_a_program(tmp_path, monkeypatch):
    stub, marker = tmp_path / "bin/gs", tmp_path / "started"
    stub.parent.mkdir()
    stub.write_text(f"#!/bin/sh\necho >> {marker}\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", str(stub.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # it remembers whether there is one
    Image.new("RGB", (64, 64), "green").save(tmp_path / "a.jpg", format="EPS")
    assert only(tmp_path / "a.jpg") == "not an image"
    assert not marker.exists()


def test_things_that_are_no_files(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "file").write_bytes(b"")
    paths = ["folder.jpg", "broken.jpg", "pipe.jpg", "x\0.jpg", "file/a.jpg", "y" * 999]
    assert results_of(scan(tmp_path, paths)) == [
        "not a file", "not there", "not a file", "not there", "not there", "File name too long",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "reason"),
    [(PermissionError(13, "Permission denied"), "no permission to read it"),
     (OSError(116, "Stale file handle"), "Stale file handle")],
)  # fmt: skip
def test_what_can_not_be_asked_for_is_not_called_gone(tmp_path, monkeypatch, error, reason):
    def refuse(*_):
        raise error

    monkeypatch.setattr(named_files, "stat_image", refuse)
    monkeypatch.setattr(scan_cache, "stat_image", refuse)
    assert only(tmp_path / "a.jpg") == reason
    assert not scan_cache.is_gone(str(tmp_path / "a.jpg"))


def test_of_millions_of_files_few_wait_at_once(monkeypatch):
    taken: list[Path] = []

    def files():
        for number in range(2 * MOST_WAITING):
            taken.append(Path(str(number)))
            yield taken[-1]

    monkeypatch.setattr(scanning, "look_at", str)
    looks = scanning._look_at(files(), threads=2)
    assert next(looks) == "0"
    assert len(taken) == MOST_WAITING + 1
    assert [*looks] == [str(path) for path in taken[1:]]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path, jpeg):
    jpeg(tmp_path / "a.jpg", 0).chmod(0)
    assert only(tmp_path / "a.jpg") == "no permission to read it"


def test_damaged_exif_is_no_reason(tmp_path, jpeg_bytes):
    damaged = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40
    segment = b"\xff\xe1" + struct.pack(">H", len(damaged) + 2) + damaged
    (tmp_path / "a.jpg").write_bytes(jpeg_bytes[:2] + segment + jpeg_bytes[2:])
    assert isinstance(only(tmp_path / "a.jpg"), Scanned)


def test_unreadable_images_are_excluded_listed_and_counted(tmp_path, class_folders, jpeg_bytes):
    class_folders(tmp_path, {"ants": 5, "bees": 5})
    (tmp_path / "ants" / "cut.jpg").write_bytes(jpeg_bytes[:300])
    (tmp_path / "bees" / "none.jpg").write_bytes(b"")
    index = open_images(str(tmp_path))
    assert len(index) == 10
    assert {one.path for one in index.excluded} == {"ants/cut.jpg", "bees/none.jpg"}
    assert any(note.startswith("2 files left out") for note in index.notes)
    assert index.summary()["excluded_reasons"]["empty file"] == 1


def test_the_second_scan_opens_nothing(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number).name for number in range(4)]
    first = scan(root, paths, cache_dir=cache)
    second = scan(root, paths, cache_dir=cache)
    assert (first.opened, second.opened) == (4, 0)
    assert results_of(first) == results_of(second)


def test_a_changed_file_is_scanned_again(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number).name for number in range(4)]
    before = scan(root, paths, cache_dir=cache)
    jpeg(root / "2.jpg", 99, side=24)
    after = scan(root, paths, cache_dir=cache)
    assert after.opened == 1
    changed = [a != b for a, b in zip(results_of(before), results_of(after), strict=True)]
    assert changed == [False, False, True, False]
    os.utime(root / "1.jpg", ns=(1, 1))
    assert scan(root, paths, cache_dir=cache).opened == 1


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"rubbish", lambda d: d[: len(d) // 2],
                                    lambda d: d[:200] + bytes(400) + d[600:]])  # fmt: skip
def test_a_damaged_cache_is_rebuilt(tmp_path, jpeg, damage):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number).name for number in range(4)]
    first = scan(root, paths, cache_dir=cache)
    file = cache_file(cache, root)
    file.write_bytes(damage(file.read_bytes()))
    assert results_of(scan(root, paths, cache_dir=cache)) == results_of(first)
    assert len(kept_of(cache, root)) == 4


def test_a_cache_that_cannot_be_written_is_said(tmp_path, jpeg):
    root = tmp_path / "set"
    jpeg(root / "a.jpg", 0)
    (tmp_path / "file").write_text("in the way")
    result = scan(root, ["a.jpg"], cache_dir=tmp_path / "file")
    assert isinstance(results_of(result)[0], Scanned)
    assert "could not be kept" in result.notes[0]


def test_an_interrupted_scan_keeps_what_it_saw(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number).name for number in range(20)]

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(root, paths, cache_dir=cache, progress=stop)
    assert scan(root, paths, cache_dir=cache).opened == 15


def test_a_scan_is_saved_while_it_goes(tmp_path, jpeg, monkeypatch):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number).name for number in range(6)]
    kept: list[int] = []

    def look(*_: int) -> None:
        kept.append(len(kept_of(cache, root)))

    scan(root, paths, cache_dir=cache, progress=look)
    assert kept == [0] * 6
    assert len(kept_of(cache, root)) == 6
    cache_file(cache, root).unlink()
    monkeypatch.setattr(scan_cache, "SAVE_SECONDS", 0)
    monkeypatch.setattr(scan_cache, "TIMES_A_SAVE", 0)
    scan(root, paths, cache_dir=cache, progress=look)
    assert kept[6:] == [1, 2, 3, 4, 5, 6]


def test_where_saving_takes_long_it_is_done_more_rarely(tmp_path, monkeypatch):
    now, saved_at = [0.0], []

    def save(*_):
        saved_at.append(now[0])
        now[0] += 40

    monkeypatch.setattr(scan_cache.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(scan_cache, "save_scans", save)
    scans = Scans(tmp_path, "/set")
    while now[0] < 2000:
        now[0] += 1
        scans.add("/set/a.jpg", ScanRow(1, 2, 3, 4, "a", 5))
    assert saved_at == [30, 30 + 840, 30 + 1680]


def test_files_that_are_gone_are_forgotten_when_something_new_is_saved(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number).name for number in range(4)]
    scan(root, paths, cache_dir=cache)
    (root / "0.jpg").unlink()
    (root / "1.jpg").write_bytes(b"broken")
    jpeg(root / "4.jpg", 4)
    scan(root, ["1.jpg", "2.jpg", "4.jpg"], cache_dir=cache)
    assert sorted(map(os.path.basename, kept_of(cache, root))) == ["2.jpg", "3.jpg", "4.jpg"]


def test_a_short_list_costs_no_look_at_all_of_a_folder(tmp_path, jpeg, monkeypatch):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number).name for number in range(4)]
    scan(root, paths, cache_dir=cache)
    jpeg(root / "4.jpg", 4)
    monkeypatch.setattr(scan_cache, "is_gone", None)
    scan(root, ["4.jpg"], cache_dir=cache)
    assert len(kept_of(cache, root)) == 5


def test_what_was_in_another_state_of_a_tar_file_is_forgotten(tmp_path, jpeg_bytes):
    root, cache = tmp_path / "set", tmp_path / "cache"
    root.mkdir()
    (root / "other.jpg").write_bytes(jpeg_bytes)
    for start in (512, 1024):
        (root / "a.tar").write_bytes(bytes(start) + jpeg_bytes)
        members = [f"a.tar::{start}+{len(jpeg_bytes)}::1.jpg", "other.jpg"]
        found = scan(root, members, cache_dir=cache)
        assert all(isinstance(result, Scanned) for result in results_of(found))
        assert set(kept_of(cache, root)) == set(absolute(root, members, {}))


def test_what_could_not_be_saved_is_tried_again(tmp_path):
    (tmp_path / "file").write_text("in the way")
    scans = Scans(tmp_path / "file", "/set")
    scans.add("/set/a.jpg", ScanRow(1, 2, 3, 4, "a", 5))
    scans.save()
    assert scans.lost
    (tmp_path / "file").unlink()
    scans.save()
    assert not scans.lost
    assert kept_of(tmp_path / "file", "/set") == {"/set/a.jpg": ScanRow(1, 2, 3, 4, "a", 5)}


def test_files_are_known_whichever_root_and_list_name_them(tmp_path, jpeg):
    root, cache = tmp_path / "field/set", tmp_path / "cache"
    paths = [f"{name}/{number}.jpg" for name in "ab" for number in range(3)]
    for number, path in enumerate(paths):
        jpeg(root / path, number)
    (tmp_path / "link").symlink_to(root / "a")
    assert scan(root, paths, cache_dir=cache).opened == 6
    for place, named in (
        (tmp_path, [f"field/set/{path}" for path in paths]),
        (tmp_path / "cache", [str(root / path) for path in paths]),
        (tmp_path, [f"cache/../field/set/{path}" for path in paths[:1]]),
        (root / "a", ["0.jpg", "2.jpg"]),
        (tmp_path, ["link/1.jpg"]),
        (tmp_path / "link", ["1.jpg"]),
    ):
        found = scan(place, named, cache_dir=cache)
        assert found.opened == 0, place
        assert all(isinstance(result, Scanned) for result in results_of(found))


def test_a_file_is_known_by_each_of_its_names(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    jpeg(root / "a/0.jpg", 0)
    (root / "b").symlink_to(root / "a")
    paths = ["a/0.jpg", "b/0.jpg", "b/../a/0.jpg"]
    first = scan(root, paths, cache_dir=cache)
    second = scan(root, paths, cache_dir=cache)
    assert second.opened == 0
    assert results_of(second) == results_of(first)


def test_what_is_kept_of_other_files_is_not_loaded(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [f"{name}/{number}.jpg" for name in "ab" for number in range(3)]
    for number, path in enumerate(paths):
        jpeg(root / path, number)
    scan(root, paths, cache_dir=cache)
    loaded = load_scans(cache, find_files(root, ["a/1.jpg", "a/2.jpg", "a/9.jpg"]))
    assert [path[-5:] for path in loaded["path"].to_pylist()] == [b"1.jpg", b"2.jpg"]


def test_what_the_deepest_folder_keeps_of_a_file_counts(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    jpeg(root / "a/0.jpg", 0)
    (path,) = absolute(root, ["a/0.jpg"], {})
    state = (root / "a/0.jpg").stat()
    for width, folder in ((7, root), (8, root / "a"), (9, tmp_path)):
        row = ScanRow(state.st_size, state.st_mtime_ns, width, 3, "5" * 32, 2**64 - 1)
        save_scans(cache, os.path.realpath(folder), {path: row})
    (found,) = results_of(scan(root, ["a/0.jpg"], cache_dir=cache))
    assert found == Scanned(8, 3, state.st_size, "5" * 32, 2**64 - 1)


def test_known_new_and_broken_files_keep_their_order(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number, side=16 + number).name for number in range(6)]
    scan(root, paths[1::2], cache_dir=cache)
    (root / "2.jpg").write_bytes(b"")
    mixed = scan(root, ["9.jpg", *paths], cache_dir=cache)
    assert mixed.opened == 3
    assert mixed.reasons == {0: "not there", 3: "empty file"}
    assert mixed.rows.tolist() == [1, 2, 4, 5, 6]
    assert mixed.table["width"].to_pylist() == [16, 17, 19, 20, 21]


def test_two_lists_of_one_folder_keep_each_others_scans(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    paths = [jpeg(root / f"{number}.jpg", number).name for number in range(4)]
    for part in (paths[:2], paths[2:]):
        assert scan(root, part, cache_dir=cache).opened == 2
    assert scan(root, paths, cache_dir=cache).opened == 0


def test_a_changed_file_replaces_what_was_kept(tmp_path, jpeg):
    root, cache = tmp_path / "set", tmp_path / "cache"
    for side in (16, 24):
        jpeg(root / "a.jpg", 0, side=side)
        scan(root, ["a.jpg"], cache_dir=cache)
    (row,) = kept_of(cache, root).values()
    assert (row.width, row.height) == (24, 24)


def test_a_folder_that_is_not_utf8_is_kept(tmp_path, jpeg):
    cache, real = tmp_path / "cache", tmp_path / os.fsdecode(b"k\xe4fer")
    try:
        real.mkdir()
    except OSError:
        pytest.skip("names here are UTF-8")
    jpeg(real / "a.jpg", 0)
    (tmp_path / "link").symlink_to(real)
    assert [scan(tmp_path / "link", ["a.jpg"], cache_dir=cache).opened for _ in "12"] == [1, 0]


def test_absolute_paths(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    root = tmp_path.resolve()
    member = "link/x.tar::512+9::bees/1.jpg"
    paths = ["a.jpg", "link/a.jpg", member, "real/../a.jpg", "/other/a.jpg"]
    folders: dict[str, str] = {}
    assert [*absolute(tmp_path, paths, folders)] == [
        f"{root}/a.jpg",
        f"{root}/real/a.jpg",
        f"{root}/real/x.tar::512+9::bees/1.jpg",
        f"{root}/a.jpg",
        "/other/a.jpg",
    ]
    assert folders["link/"] == f"{root}/real"


def test_the_folder_that_holds_all():
    assert common_folder(["/a/b", "/a/b"]) == "/a/b"
    assert common_folder(["/a/b", "/a/bc"]) == "/a"
    assert common_folder([]) == ""


def test_progress_counts_every_file(tmp_path, jpeg):
    paths = [jpeg(tmp_path / f"{number}.jpg", number).name for number in range(3)]
    calls: list[tuple[int, int]] = []
    scan(tmp_path, paths, progress=lambda *call: calls.append(call), cache_dir=tmp_path / "cache")
    assert calls == [(1, 3), (2, 3), (3, 3)]
    scan(tmp_path, paths, progress=lambda *call: calls.append(call), cache_dir=tmp_path / "cache")
    assert calls[3:] == [(3, 3)]


def test_threads_change_nothing(tmp_path, jpeg):
    paths = [jpeg(tmp_path / f"{number}.jpg", number).name for number in range(8)]
    assert results_of(scan(tmp_path, paths, threads=1)) == results_of(
        scan(tmp_path, paths, threads=4)
    )


def test_nothing_to_scan(tmp_path):
    assert results_of(scan(tmp_path, [], cache_dir=tmp_path / "cache")) == []


def test_summary_is_plain_json(tmp_path, class_folders):
    index = open_images(str(class_folders(tmp_path, {"1-ants": 5, "2-bees": 5})))
    summary = json.loads(json.dumps(index.summary()))
    assert summary["classes"][1]["name"] == "bees" and summary["classes"][1]["id"] == "2"
    assert sum(summary["images"].values()) == 10
