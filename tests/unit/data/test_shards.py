"""Tar shards: what is found in them, and that their images are those of the files."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lacewing.data import member, shards
from lacewing.data.audit.extensions import wrong_extension
from lacewing.data.cache import cache_folder
from lacewing.data.member import Member, as_member, member_path, open_image, stat_image
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore, load_pixels
from lacewing.data.preprocess import Preprocessing
from lacewing.data.scan import scan
from lacewing.data.shard_folders import in_folders
from lacewing.data.shards import is_shard, key_of, read_shard, split_of, suffix_of
from lacewing.errors import DataError

SETTINGS = Preprocessing(image_size=28, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def shard(jpeg, tmp_path):
    """`shard(path, {"0001.jpg": 7, "0001.cls": "2"})`: numbers are pictures, texts are content."""

    def make(path, members):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for name, content in members.items():
                if isinstance(content, int):
                    content = jpeg(tmp_path / "one.jpg", content).read_bytes()
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(bytes(content)))
        return path

    return make


def samples(first, labels):
    pictures = {f"{first + n:04}.jpg": first + n for n in range(len(labels))}
    classes = {f"{first + n:04}.cls": str(label).encode() for n, label in enumerate(labels)}
    return dict(sorted({**pictures, **classes}.items()))


@pytest.fixture
def folder(shard, tmp_path):
    root = tmp_path / "shards"
    shard(root / "pests-train-00000.tar", samples(0, [0, 1, 0, 1]))
    shard(root / "pests-train-00001.tar", samples(4, [1, 0]))
    shard(root / "pests-val-00000.tar", samples(6, [0, 1]))
    (root / "classes.txt").write_text("ants\nbees\n")
    return root


def test_a_path_is_taken_apart_as_it_was_made():
    path = member_path("/a/b c.tar", 512, 99, "bees/0001.seg.jpg")
    assert as_member(path) == Member(Path("/a/b c.tar"), 512, 99, "bees/0001.seg.jpg")
    assert as_member(Path("/a") / member_path("b.tar", 0, 1, "x")) == Member(
        Path("/a/b.tar"), 0, 1, "x"
    )
    for ordinary in ("a.tar", "a.tar::x.jpg", "photos/0001.jpg"):
        assert as_member(ordinary) is None


def test_shards_become_an_index(folder):
    index = open_images(folder, test_share=0)
    assert index.layout == "tar shards (3 files; splits train, val)"
    assert index.classes == ("ants", "bees") and index.class_ids == ("0", "1")
    assert index.table["split"].to_pylist() == ["train"] * 6 + ["val"] * 2
    assert index.column("label").tolist() == [0, 1, 0, 1, 1, 0, 0, 1]
    assert index.path(0).endswith("pests-train-00000.tar::1536+" + index.path(0).split("+")[1])
    assert index.column("bytes").min() > 100
    assert not index.excluded


def test_pixels_are_those_of_the_unpacked_files(folder, tmp_path):
    index = open_images(folder, test_share=0)
    for archive in folder.glob("*.tar"):
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path / "out", filter="data")
    stores = [PixelStore(index, SETTINGS, keep=keep) for keep in ("none", "ram", "disk")]
    for row in range(len(index)):
        plain = load_pixels(tmp_path / "out" / index.path(row).rpartition("::")[2], SETTINGS)
        assert all(np.array_equal(store.get(row), plain) for store in stores)
    kept = PixelStore(index, SETTINGS, keep="disk")
    for archive in folder.glob("*.tar"):
        archive.unlink()
    assert np.array_equal(kept.get(3), stores[1].get(3))


def test_a_second_scan_knows_sizes_without_opening(folder):
    first = open_images(folder, test_share=0)
    second = open_images(folder, test_share=0)
    assert second.table.equals(first.table)


@pytest.fixture
def read_through(monkeypatch):
    """The names of the shards that are read through, in their order."""
    names = []
    plain = shards.read_members

    def read(archive):
        names.append(archive.name)
        return plain(archive)

    monkeypatch.setattr(shards, "read_members", read)
    return names


def test_a_shard_is_read_through_once_in_each_of_its_states(folder, shard, read_through):
    first = open_images(folder, test_share=0)
    assert read_through == [f"pests-{part}.tar" for part in ("train-00000", "train-00001",
                                                             "val-00000")]  # fmt: skip
    read_through.clear()
    assert open_images(folder, test_share=0).table.equals(first.table)
    assert read_through == []
    shard(folder / "pests-train-00001.tar", samples(20, [1, 1, 0]))
    assert len(open_images(folder, test_share=0)) == len(first) + 1
    assert read_through == ["pests-train-00001.tar"]


def test_a_list_holds_from_whatever_folder_the_shard_is_named(folder, read_through):
    whole = open_images(folder, test_share=0)
    read_through.clear()
    (entry, *_) = read_shard(folder / "pests-val-00000.tar", folder.parent).entries
    assert entry.path == f"shards/{whole.table['path'][6].as_py()}" and entry.split == "val"
    assert read_through == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"state": 1}', b'{"state": [1, 2], "images": []}']
)
def test_a_list_that_is_damaged_or_of_another_state_is_made_anew(folder, read_through, content):
    entries = read_shard(folder / "pests-val-00000.tar", folder)
    (kept,) = (cache_folder() / "lists").iterdir()
    for damaged in (content, json.dumps({**json.loads(kept.read_text()), "images": [[1, 2]]})):
        kept.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
        read_through.clear()
        assert read_shard(folder / "pests-val-00000.tar", folder) == entries
        assert read_through == ["pests-val-00000.tar"]


def test_a_cache_that_can_not_be_written_is_done_without(folder, read_through, monkeypatch):
    (folder / "file").touch()
    monkeypatch.setenv("LACEWING_CACHE", str(folder / "file"))
    for _ in range(2):
        assert len(read_shard(folder / "pests-val-00000.tar", folder).entries) == 2
    assert len(read_through) == 2


def test_a_name_that_is_no_text_comes_back_from_the_list(shard, tmp_path):
    file = shard(tmp_path / "x.tar", {"bees/\udcff.jpg": 1})
    first = read_shard(file, tmp_path)
    assert as_member(first.entries[0].path).name == "bees/\udcff.jpg"
    assert read_shard(file, tmp_path) == first


def test_each_shard_is_asked_for_its_state_once(folder, monkeypatch):
    index = open_images(folder, test_share=0)
    asked = []
    plain = member.stat_archive

    def stat_archive(archive):
        asked.append(archive.name)
        return plain(archive)

    monkeypatch.setattr(member, "stat_archive", stat_archive)
    assert scan(index.root, index.table["path"].to_pylist()).opened == 8
    assert sorted(asked) == sorted(file.name for file in folder.glob("*.tar"))


def test_one_shard_may_be_named(shard, tmp_path):
    file = shard(tmp_path / "pests.tar", samples(0, [0, 0, 0, 1, 1, 1]))
    index = open_images(file, test_share=0)
    assert index.layout == "tar shards (1 files; no splits)" and len(index) == 6
    assert index.name == "pests"


def test_an_archive_of_folders_is_no_shard(shard, tmp_path):
    file = shard(tmp_path / "photos.tar", {"ants/1.jpg": 1, "bees/2.jpg": 2})
    assert not is_shard(file)
    assert not is_shard(tmp_path / "missing.tar")
    assert open_images(file, val_share=0, test_share=0).layout == "class folders (2)"


def test_folders_inside_shards_are_classes_too(shard, tmp_path):
    shard(tmp_path / "s" / "train" / "0.tar", {"ants/1.jpg": 1, "bees/2.jpg": 2, "bees/3.jpg": 3})
    index = open_images(tmp_path / "s", val_share=0, test_share=0)
    assert index.classes == ("ants", "bees")
    assert index.table["split"].to_pylist() == ["train"] * 3


@pytest.mark.parametrize(
    ("name", "content", "label"),
    [
        ("a.cls", b" 7\n", "7"),
        ("a.json", b'{"label": 3, "caption": "x"}', "3"),
        ("a.json", b'{"class_name": "moth"}', "moth"),
        ("a.cls.txt", b"moth", "moth"),
    ],
)
def test_labels_are_read_from_what_stands_beside(shard, tmp_path, name, content, label):
    file = shard(tmp_path / "x.tar", {"a.jpg": 1, name: content})
    assert [entry.key for entry in read_shard(file, tmp_path).entries] == [label]


def members_of(index):
    return [as_member(path).name for path in index.table["path"].to_pylist()]


def classes_of(index):
    rows = zip(members_of(index), index.column("label").tolist(), strict=True)
    return {name: index.classes[label] for name, label in rows}


def test_what_has_no_image_or_no_class_is_passed_over_and_said(shard, tmp_path):
    file = shard(
        tmp_path / "x.tar",
        {"a.jpg": 1, "b.cls": b"2", "c.jpg": 3, "c.cls": b"2", "c.txt": b"a caption", "._d.jpg": 4,
         "e.jpg": 5, "e.cls": b"3"},
    )  # fmt: skip
    index = open_images(file, val_share=0, test_share=0)
    assert members_of(index) == ["c.jpg", "e.jpg"]
    said = "Passed over in the shards: 1 image without a class, 1 label without an image."
    assert said in index.notes


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["0.depth.png", "0.jpg", "0.mask.png"], ["0.jpg"]),
        (["0.jpg", "0.png"], ["0.jpg"]),
        (["0.left.png", "0.right.png"], ["0.left.png"]),
    ],
)
def test_of_several_images_of_a_sample_the_plain_one_is_taken(shard, tmp_path, names, taken):
    pictures = {name: seed for seed, name in enumerate(names)}
    found = read_shard(shard(tmp_path / "x.tar", pictures | {"0.cls": b"7"}), tmp_path)
    assert [as_member(entry.path).name for entry in found.entries] == taken
    assert found.spare == len(names) - 1


def test_a_mask_beside_a_photo_is_passed_over_without_labels_too(shard, tmp_path):
    pictures = {"ants/0.mask.png": 1, "ants/0.jpg": 2, "bees/1.jpg": 3}
    found = read_shard(shard(tmp_path / "x.tar", pictures), tmp_path)
    assert [as_member(entry.path).name for entry in found.entries] == ["ants/0.jpg", "bees/1.jpg"]
    assert found.spare == 1


def test_dots_in_names_of_images_without_labels_are_a_part_of_them(shard, tmp_path):
    names = [f"{kind}/DSC.{number}.png" for kind in ("ants", "bees") for number in range(5)]
    shard(tmp_path / "s" / "0.tar", {name: seed for seed, name in enumerate(names)})
    index = open_images(tmp_path / "s", val_share=0, test_share=0)
    assert sorted(members_of(index)) == names
    assert not any("Passed over" in note for note in index.notes)


def test_classes_one_folder_deeper_stay_apart(shard, tmp_path):
    shard(tmp_path / "s" / "0.tar", {"./rice/healthy/1.jpg": 1, "rice/rust/1.jpg": 2})
    shard(tmp_path / "s" / "1.tar", {"maize/healthy/1.jpg": 3, "maize/healthy/more/2.jpg": 4})
    index = open_images(tmp_path / "s", val_share=0, test_share=0)
    assert classes_of(index) == {
        "./rice/healthy/1.jpg": "rice/healthy",
        "rice/rust/1.jpg": "rice/rust",
        "maize/healthy/1.jpg": "maize/healthy",
        "maize/healthy/more/2.jpg": "maize/healthy",
    }


@pytest.mark.parametrize("around", ["", "pests/", "pests/v2/"])
def test_folders_around_the_classes_are_none_and_those_of_splits_say_the_split(
    shard, tmp_path, around
):
    shard(tmp_path / "s" / "0.tar", {f"{around}Train/ants/1.jpg": 1, f"{around}Train/bees/2.jpg": 2,
                                     "3.jpg": 3})  # fmt: skip
    shard(tmp_path / "s" / "1.tar", {f"{around}test/ants/4.jpg": 4, f"{around}test/5.jpg": 5})
    index = open_images(tmp_path / "s", val_share=0)
    splits = zip(members_of(index), index.table["split"].to_pylist(), strict=True)
    assert {Path(name).name: split for name, split in splits} == {
        "1.jpg": "train", "2.jpg": "train", "4.jpg": "test"
    }  # fmt: skip
    assert index.classes == ("ants", "bees")
    assert "Passed over in the shards: 2 images without a class." in index.notes


@pytest.mark.parametrize(
    ("first", "second", "splits"),
    [
        ("shard-000/", "shard-001/", [None, None]),
        ("shard-000/pests/", "shard-001/pests/", [None, None]),
        ("imgs_train/", "imgs_val/", ["train", "val"]),
        ("test_photos/", "test_photos/", [None, None]),
        ("train/", "", ["train", None]),
    ],
)
def test_each_shard_may_have_its_own_folder_around_the_classes(
    shard, tmp_path, first, second, splits
):
    files = [
        shard(tmp_path / "0.tar", {f"{first}ants/1.jpg": 1, f"{first}bees/2.jpg": 2}),
        shard(tmp_path / "1.tar", {f"{second}ants/3.jpg": 3}),
    ]
    found = in_folders([entry for file in files for entry in read_shard(file, tmp_path).entries])
    assert [entry.key for entry in found] == ["ants", "bees", "ants"]
    assert [entry.split for entry in found] == [splits[0], splits[0], splits[1]]


@pytest.mark.parametrize(
    ("first", "second"),
    [("rice", "maize"), ("0", "1"), ("\u7a3b", "\u7389\u7c73"), ("species1", "species2")],
)
def test_folders_that_may_be_classes_are_kept_in_shards_of_one_class_each(
    shard, tmp_path, first, second
):
    files = [
        shard(tmp_path / "0.tar", {f"{first}/healthy/1.jpg": 1}),
        shard(tmp_path / "1.tar", {f"{second}/healthy/2.jpg": 2}),
    ]
    found = in_folders([entry for file in files for entry in read_shard(file, tmp_path).entries])
    assert [entry.key for entry in found] == [f"{first}/healthy", f"{second}/healthy"]


def test_broken_shards_are_named(shard, tmp_path):
    file = shard(tmp_path / "train.tar", samples(0, [0, 1]))
    file.write_bytes(b"x" * 2000)
    with pytest.raises(DataError, match=r"The shard .*train.tar can't be read"):
        open_images(tmp_path)
    shard(file, {"a.jpg": 1, "a.cls": b"\xff\xfe", "b.jpg": 2})
    with pytest.raises(DataError, match=r"The label a.cls in .*train.tar is no text"):
        open_images(tmp_path)


def test_a_shard_that_shrank_costs_single_images(folder):
    index = open_images(folder, test_share=0)
    shorter = folder / "pests-train-00000.tar"
    shorter.write_bytes(shorter.read_bytes()[:1600])
    with pytest.raises(OSError, match="truncated"):
        open_image(index.path(0))
    assert stat_image(index.path(0)).st_size == 1600


def test_a_table_may_name_members(folder, tmp_path):
    index = open_images(folder, test_share=0)
    rows = zip(index.paths(), index.column("label"), index.table["split"].to_pylist(), strict=True)
    lines = [f"{Path(path).relative_to(tmp_path)},{label},{split}\n" for path, label, split in rows]
    (tmp_path / "list.csv").write_text("path,label,split\n" + "".join(lines))
    again = open_images(tmp_path / "list.csv", test_share=0)
    assert again.paths() == index.paths()
    assert again.table["hash"].equals(index.table["hash"])


def test_an_images_name_keeps_its_suffix(folder):
    index = open_images(folder, test_share=0)
    assert Path(index.path(0)).suffix == ".jpg"
    assert wrong_extension(Path(index.path(0))) is None


def test_names_are_taken_apart_at_the_first_dot():
    assert key_of("./a.b/000.seg.png") == "a.b/000"
    assert suffix_of("a.b/000.Seg.PNG") == "seg.png"


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train/0.tar", "train"),
        ("imagenet-val-000001.tar", "val"),
        ("validation.tar", "val"),
        ("pests_test_3.tar", "test"),
        ("constrained.tar", None),
        ("0001.tar", None),
    ],
)
def test_splits_are_words_in_names(path, split):
    assert split_of(Path(path)) == split
