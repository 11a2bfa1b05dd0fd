"""Where a data set is looked for, and how an archive is unpacked."""

import io
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacewing.data.archive import unpack
from lacewing.data.cache import cache_folder
from lacewing.data.open import open_images
from lacewing.errors import DataError


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty current folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path / "empty"


@pytest.mark.parametrize("folder", ["IP102", "ip102", "ip102_v1.1", "Ip102_V1.1"])
@pytest.mark.parametrize("where", ["here", "data", "root", "variable"])
def test_places_of_a_named_data_set(tmp_path, empty, ip102, monkeypatch, folder, where):
    place = {"here": empty, "data": empty / "data", "root": tmp_path / "r", "variable":
             tmp_path / "v"}[where]  # fmt: skip
    ip102(place / folder, classes=2, per=1)
    monkeypatch.setenv("LACEWING_DATA", str(tmp_path / "v"))
    index = open_images("IP102", data_root=tmp_path / "r")
    assert index.name == "IP102" and len(index) == 6
    assert index.root == (place / folder / "images").resolve()


def test_the_place_itself_may_be_the_data_set(tmp_path, empty, ip102):
    root = ip102(tmp_path / "ip102_v1.1", classes=2, per=1)
    assert len(open_images("IP102", data_root=root)) == 6


def test_other_names(tmp_path, empty, class_folders):
    class_folders(tmp_path / "r" / "MyPests", {"a": 4, "b": 4})
    assert open_images("mypests", data_root=tmp_path / "r").name == "MyPests"


def test_ip102_not_found_says_what_it_looks_like_and_where_it_was_looked_for(tmp_path, empty):
    with pytest.raises(DataError) as caught:
        open_images("ip102", data_root=tmp_path / "r")
    text = str(caught.value)
    for word in (
        "images/",
        "train.txt",
        "ip102_v1.1.tar",
        str(empty / "data"),
        str(tmp_path / "r"),
    ):
        assert word in text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("pests", "There is no data set 'pests'; looked in"),
        ("x/pests", "There is no folder or file x/pests"),
        ("D0", "unzip_D0"),
        ("~nobody_of_this_name/pests", "can't be reached"),
        ("x" * 5000, "can't be reached"),
        ("sample", "no data set 'sample'"),
    ],
)
def test_not_found(empty, data, said):
    with pytest.raises(DataError, match=said):
        open_images(data)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(DataError, match="unpack it first"):
        open_images(str(tmp_path / "a.zip"))


def test_the_folder_of_the_images_is_not_there(tmp_path):
    with pytest.raises(DataError, match="folder of the images"):
        open_images(str(tmp_path), images=tmp_path / "nowhere")


def test_the_sample_is_drawn_once(tmp_path, empty, class_folders):
    drawn: list[Path] = []

    def draw(folder: Path) -> None:
        drawn.append(folder)
        class_folders(folder, {"ants": 5, "bees": 5})

    first = open_images("sample", draw_sample=draw)
    second = open_images("Sample", draw_sample=draw)
    assert len(drawn) == 1 and first.name == "sample"
    assert first.fingerprint() == second.fingerprint()
    assert first.root.is_relative_to(cache_folder().resolve())


def test_a_sample_whose_drawing_was_interrupted_is_drawn_anew(tmp_path, class_folders):
    def stop(folder: Path) -> None:
        class_folders(folder, {"ants": 1})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_images("sample", draw_sample=stop)
    index = open_images(
        "sample", draw_sample=lambda folder: class_folders(folder, {"ants": 5, "bees": 5}) and None
    )
    assert len(index) == 10
    assert [entry.name for entry in cache_folder().glob("sample*")] == ["sample"]


def test_an_archive_is_unpacked_once(tmp_path, class_folders, tarred):
    archive = tarred(class_folders(tmp_path / "set", {"a": 3, "b": 3}), tmp_path / "x" / "set.tar")
    first = open_images(str(archive))
    assert first.root.is_relative_to(tmp_path / "x" / "set.tar.unpacked")
    assert first.name == "set" and first.notes[0].startswith("set.tar was unpacked into")
    mark = first.root / "mark"
    mark.touch()
    open_images(str(archive))
    assert mark.exists()


def test_another_state_of_an_archive_is_unpacked_apart(tmp_path, class_folders, tarred):
    place = tmp_path / "x"
    archive = tarred(class_folders(tmp_path / "ip102", {"a": 3, "b": 3}), place / "ip102.tar")
    first = open_images(str(archive))
    (first.root / "notes.txt").touch()
    tarred(class_folders(tmp_path / "ip102", {"c": 3}, 50), archive)
    second = open_images(str(archive))
    assert (first.classes, second.classes) == (("a", "b"), ("a", "b", "c"))
    assert (first.root / "notes.txt").exists() and all(map(os.path.exists, first.paths()))
    assert open_images(str(archive)).root == second.root
    assert len(list(place.iterdir())) == 3
    archive.unlink()
    assert open_images("IP102", data_root=place).root == second.root
    assert open_images(str(second.root.parent)).name == "IP102"


def test_an_archive_in_a_place_that_cannot_be_written(tmp_path, class_folders, tarred, monkeypatch):
    archive = tarred(class_folders(tmp_path / "set", {"a": 3, "b": 3}), tmp_path / "x" / "set.tar")
    monkeypatch.setattr("lacewing.data.archive.os.access", lambda *_: False)
    index = open_images(str(archive))
    assert index.root.is_relative_to(cache_folder().resolve())
    assert sorted(entry.name for entry in archive.parent.iterdir()) == ["set.tar"]


def member(name: str, content: bytes = b"x", **fields) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size = 0 if fields else len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, io.BytesIO(content)


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "a/../../evil.jpg", "C:\\evil.jpg",
                                  "..\\evil.jpg"])  # fmt: skip
def test_an_archive_cannot_write_outside(tmp_path, name):
    archive = tmp_path / "in" / "bad.tar"
    archive.parent.mkdir()
    with tarfile.open(archive, "w") as tar:
        tar.addfile(*member("good.jpg"))
        tar.addfile(*member(name))
    with pytest.raises(DataError, match="outside its folder"):
        unpack(archive, tmp_path / "cache")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["bad.tar"]


def test_links_in_an_archive_lead_nowhere(tmp_path):
    archive = tmp_path / "links.tar"
    (tmp_path / "secret").write_text("secret")
    with tarfile.open(archive, "w") as tar:
        tar.addfile(*member("out", type=tarfile.SYMTYPE, linkname=str(tmp_path)))
        tar.addfile(*member("hard.jpg", type=tarfile.LNKTYPE, linkname="../secret"))
        tar.addfile(*member("device", type=tarfile.CHRTYPE))
        tar.addfile(*member("out/written.jpg"))
        tar.addfile(*member("same.jpg", type=tarfile.LNKTYPE, linkname="out/written.jpg"))
    folder = unpack(archive, tmp_path / "cache")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.jpg")}
    assert files == {"out/written.jpg", "same.jpg"}
    assert not (folder / "out").is_symlink() and not (tmp_path / "written.jpg").exists()


@pytest.mark.parametrize("damage", [lambda d: b"rubbish" * 200, lambda d: d[: len(d) // 2],
                                    lambda d: b""])  # fmt: skip
def test_a_damaged_archive(tmp_path, class_folders, tarred, damage):
    archive = tarred(class_folders(tmp_path / "set", {"a": 3, "b": 3}), tmp_path / "x" / "set.tar")
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(DataError, match=r"is damaged|no images"):
        open_images(str(archive))
    assert not list(archive.parent.glob("*.tmp"))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_damaged_compressed_archive(tmp_path, kind):
    archive = tmp_path / f"set.tar.{kind}"
    with tarfile.open(archive, f"w:{kind}") as tar:
        tar.addfile(*member("numbers.txt", b"".join(b"%d " % number for number in range(400_000))))
    content = bytearray(archive.read_bytes())
    middle, noise = len(content) // 2, bytes(range(256)) * 100
    content[middle : middle + len(noise)] = noise
    archive.write_bytes(content)
    with pytest.raises(DataError, match=f"set\\.tar\\.{kind} is damaged"):
        unpack(archive, tmp_path / "cache")


def test_a_full_disk(tmp_path, class_folders, tarred, monkeypatch):
    archive = tarred(class_folders(tmp_path / "set", {"a": 3, "b": 3}), tmp_path / "x" / "set.tar")
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("lacewing.data.archive.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="100 B are free"):
        open_images(str(archive))


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LACEWING_CACHE", "~/pests")
    assert cache_folder() == Path.home() / "pests"
    monkeypatch.delenv("LACEWING_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "lacewing"


def test_a_folder_of_the_users_own_is_not_unpacked_over(tmp_path, class_folders, tarred):
    archive = tarred(class_folders(tmp_path / "set", {"a": 3, "b": 3}), tmp_path / "x" / "set.tar")
    own = tmp_path / "x" / "set.tar.unpacked"
    own.mkdir()
    (own / "notes.txt").touch()
    index = open_images(str(archive))
    assert index.root.is_relative_to(cache_folder().resolve())
    assert [file.name for file in own.iterdir()] == ["notes.txt"]


def test_a_table_beside_folders_of_classes_is_not_their_images(tmp_path, class_folders):
    folder = class_folders(tmp_path / "set", {"ants": 4, "bees": 4})
    pq.write_table(pa.table({"image_id": [1], "humidity": [0.4]}), folder / "weather.parquet")
    assert open_images(str(folder)).classes == ("ants", "bees")
