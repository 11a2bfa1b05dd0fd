"""What an audit writes: the cleaned list, which training reads, and the page."""

import base64
import csv
import io
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacewing.data import scan
from lacewing.data.audit import page
from lacewing.data.audit.cleaned import write_cleaned
from lacewing.data.audit.page import write_page
from lacewing.data.audit.read import read_images, with_training
from lacewing.data.audit.run import audit
from lacewing.data.listing import Entry
from lacewing.data.open import open_images
from lacewing.errors import DataError


def check(root):
    return audit(read_images(root))


def rows_of(file: Path) -> list[list[str]]:
    with file.open(newline="") as lines:
        return list(csv.reader(lines))


@pytest.fixture
def root(tmp_path, jpeg):
    """Two classes and three splits; pictures of noise, each unlike the others."""
    folder, seed = tmp_path / "field", 0
    for split in ("train", "val", "test"):
        for name in ("ants", "bees"):
            for number in range(3):
                jpeg(folder / split / name / f"{number}.jpg", seed, side=64)
                seed += 1
    return folder


def test_a_leak_stays_where_it_judges(root, tmp_path):
    shutil.copy(root / "test/ants/0.jpg", root / "train/ants/leak.jpg")
    shutil.copy(root / "test/ants/0.jpg", root / "val/ants/leak.jpg")
    shutil.copy(root / "val/bees/0.jpg", root / "train/bees/leak.jpg")
    shutil.copy(root / "train/bees/1.jpg", root / "train/bees/twice.jpg")
    assert write_cleaned(check(root), tmp_path / "clean.csv") == 3
    header, *rows = rows_of(tmp_path / "clean.csv")
    assert header == ["path", "label", "split"]
    assert len(rows) == 19
    assert ["field/test/ants/0.jpg", "ants", "test"] in rows
    assert ["field/val/bees/0.jpg", "bees", "val"] in rows
    assert ["field/train/bees/twice.jpg", "bees", "train"] in rows
    assert not any("leak" in row[0] for row in rows)


def test_conflicts_and_broken_files_are_left_out_everywhere(root, tmp_path):
    shutil.copy(root / "test/ants/0.jpg", root / "train/bees/copy.jpg")
    (root / "train/ants/1.jpg").write_bytes(b"")
    assert write_cleaned(check(root), tmp_path / "clean.csv") == 3
    paths = {row[0] for row in rows_of(tmp_path / "clean.csv")}
    assert len(paths) == 1 + 16
    assert not paths & {"field/test/ants/0.jpg", "field/train/bees/copy.jpg"}
    assert (root / "train/ants/1.jpg").exists()


def test_near_identical_pictures_under_two_labels_stay(root, tmp_path):
    for file, copies in (
        ("train/ants/0.jpg", ["train/bees/near.jpg"]),
        ("test/ants/1.jpg", ["train/bees/other.jpg", "train/ants/leak.jpg"]),
    ):
        for number, copy in enumerate(copies):  # the same picture, and another file
            (root / copy).write_bytes((root / file).read_bytes() + bytes([number]))
    report = check(root)
    assert len(report.of("near-conflict")) == 2
    assert write_cleaned(report, tmp_path / "clean.csv") == 1
    paths = {row[0] for row in rows_of(tmp_path / "clean.csv")}
    assert "field/train/ants/leak.jpg" not in paths
    assert {"field/train/ants/0.jpg", "field/train/bees/near.jpg", "field/test/ants/1.jpg",
            "field/train/bees/other.jpg"} <= paths  # fmt: skip


def test_copies_of_a_file_that_a_list_names_with_two_labels_are_left_out(tmp_path, ip102):
    root = ip102(tmp_path / "field")
    shutil.copy(root / "images/00000.jpg", root / "images/copy.jpg")
    with (root / "train.txt").open("a") as file:
        file.write("00000.jpg 1\ncopy.jpg 0\n")
    assert write_cleaned(check(root), tmp_path / "clean.csv") == 2


def test_beside_splits_images_of_none_are_of_training(tmp_path):
    assert with_training([Entry("a", "0"), Entry("b", "0", "val")]) == [
        Entry("a", "0", "train"), Entry("b", "0", "val"),
    ]  # fmt: skip
    assert with_training([Entry("a", "0")]) == [Entry("a", "0")]


def test_the_list_of_shards_some_of_which_name_no_split_is_read(tmp_path, jpeg_bytes):
    for number, shard in enumerate(("pests-00000.tar", "pests-val-00000.tar")):
        (tmp_path / "shards").mkdir(exist_ok=True)
        with tarfile.open(tmp_path / "shards" / shard, "w") as tar:
            for key in range(4):
                content = jpeg_bytes + bytes([number, key])  # after the end of the picture
                for name, body in ((f"{key}.jpg", content), (f"{key}.cls", b"%d" % (key % 2))):
                    info = tarfile.TarInfo(name)
                    info.size = len(body)
                    tar.addfile(info, io.BytesIO(body))
    report = check(tmp_path / "shards")
    assert report.images == {"train": 4, "val": 4}
    whole = replace(report, groups=np.arange(8))
    assert write_cleaned(whole, tmp_path / "clean.csv") == 0
    index = open_images(tmp_path / "clean.csv", test_share=0)
    assert index.counts("train").sum() == index.counts("val").sum() == 4


def test_training_opens_no_image_that_the_check_has_seen(root, tmp_path, monkeypatch):
    report = check(root)
    write_cleaned(report, tmp_path / "clean.csv")
    (tmp_path / "lists").mkdir()
    write_cleaned(report, tmp_path / "lists/clean.csv")
    opened = []
    monkeypatch.setattr(scan, "look_at", opened.append)
    for place in (tmp_path / "clean.csv", tmp_path / "lists/clean.csv", root):
        assert len(open_images(place)) == 18
    assert opened == []


def test_training_reads_the_list_and_the_next_audit_finds_no_error(root, tmp_path):
    shutil.copy(root / "test/ants/0.jpg", root / "train/bees/copy.jpg")
    shutil.copy(root / "test/ants/1.jpg", root / "train/ants/leak, with comma.jpg")
    report = check(root)
    assert report.errors == 3
    write_cleaned(report, tmp_path / "clean.csv")
    index = open_images(tmp_path / "clean.csv")
    assert len(index) == 17
    assert index.classes == ("ants", "bees")
    assert index.counts("train").tolist() == [3, 3]
    assert check(tmp_path / "clean.csv").errors == 0


def test_elsewhere_the_list_has_absolute_paths(root, tmp_path):
    (tmp_path / "lists").mkdir()
    write_cleaned(check(root), tmp_path / "lists/clean.csv")
    assert rows_of(tmp_path / "lists/clean.csv")[1][0] == f"{root.as_posix()}/test/ants/0.jpg"
    assert len(open_images(tmp_path / "lists/clean.csv")) == 18


def test_a_data_set_without_splits_gets_a_list_without(tmp_path, class_folders):
    root = class_folders(tmp_path / "field", {"ants": 3, "bees": 3})
    write_cleaned(check(root), tmp_path / "clean.csv")
    assert rows_of(tmp_path / "clean.csv")[:2] == [
        ["path", "label"],
        ["field/ants/000.jpg", "ants"],
    ]
    assert check(tmp_path / "clean.csv").images == {"all": 6}


def test_the_list_names_files_whose_names_look_untidy(tmp_path, class_folders, jpeg):
    root = class_folders(tmp_path / "field", {" ants": 3, "bees": 3, "ants": 3})
    jpeg(root / "bees" / "a\\b.jpg", 50)
    report = check(root)
    for folder in (tmp_path, root):
        write_cleaned(report, folder / "clean.csv")
        index = open_images(folder / "clean.csv")
        assert index.paths() == report.index.paths() and not index.excluded


def test_numbered_classes_keep_their_order_and_names(tmp_path, ip102):
    names = ["moth", "ant", "fly", "bee", "moth"]
    root = ip102(tmp_path / "field", classes=5, names=names)
    with (root / "train.txt").open("a") as file:
        file.write("00000.jpg 2\n")
    with (root / "test.txt").open("a") as file:
        file.write("00002.jpg 1\n")
    before = open_images(root)
    write_cleaned(check(root), tmp_path / "clean.csv")
    after = open_images(tmp_path / "clean.csv")
    assert after.classes == before.classes == ("moth (0)", "ant", "fly", "bee", "moth (4)")
    assert after.class_ids == before.class_ids
    assert len(after) == len(before) - 1
    splits = dict(zip(after.table["path"].to_pylist(), after.table["split"].to_pylist(), strict=1))
    assert splits["field/images/00002.jpg"] == "test"


def test_numbers_without_names_stay_numbers(tmp_path, ip102):
    root = ip102(tmp_path / "field", classes=12, per=1)
    write_cleaned(check(root), tmp_path / "clean.csv")
    assert open_images(tmp_path / "clean.csv").classes == tuple(map(str, range(12)))


def test_a_list_that_can_not_be_written(root, tmp_path):
    with pytest.raises(DataError, match=r"The list .* can't be written"):
        write_cleaned(check(root), tmp_path / "no/such/clean.csv")


def test_the_page_is_one_file_that_escapes_names(root, tmp_path):
    evil = "<script>alert(1)<&script>.jpg"
    shutil.copy(root / "test/ants/0.jpg", root / "train/ants" / evil)
    write_page(check(root), tmp_path / "audit.html")
    text = (tmp_path / "audit.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "2 equal files lie in train and test." in text
    assert "train 7, val 6, test 6 images of 2 classes." in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)


def test_its_pictures_are_small_and_bounded(root, tmp_path, jpeg, monkeypatch):
    jpeg(root / "test/ants/wide.jpg", 90, side=300)
    shutil.copy(root / "test/ants/wide.jpg", root / "train/ants/wide.jpg")
    for number in range(3):
        shutil.copy(root / f"train/bees/{number}.jpg", root / f"train/bees/copy{number}.jpg")
    write_page(check(root), tmp_path / "audit.html")
    found = re.findall(
        r'src="data:image/jpeg;base64,([^"]+)"', (tmp_path / "audit.html").read_text()
    )
    sizes = [Image.open(io.BytesIO(base64.b64decode(one))).size for one in found]
    assert sizes == [(112, 112)] * 2 + [(64, 64)] * 6
    monkeypatch.setattr(page, "MOST", 5)
    monkeypatch.setattr(page, "MOST_FINDINGS", 2)
    write_page(check(root), tmp_path / "audit.html")
    text = (tmp_path / "audit.html").read_text()
    assert text.count("<img") == 5
    assert '<p class="soft">1 more; --json lists all of them.</p>' in text


def test_a_picture_that_vanished_is_named(root, tmp_path):
    shutil.copy(root / "test/ants/0.jpg", root / "train/ants/gone.jpg")
    report = check(root)
    (root / "train/ants/gone.jpg").unlink()
    write_page(report, tmp_path / "audit.html")
    text = (tmp_path / "audit.html").read_text()
    assert "<li>train/ants/gone.jpg</li>" in text
    assert text.count("<img") == 1


def test_the_page_of_a_sound_data_set_says_so(root, tmp_path):
    report = check(root)
    clean = type(report)(**{**vars(report), "findings": ()})
    write_page(clean, tmp_path / "audit.html")
    assert "Nothing wrong with field" in (tmp_path / "audit.html").read_text()


def test_a_page_that_can_not_be_written(root, tmp_path):
    with pytest.raises(DataError, match=r"The page .* can't be written"):
        write_page(check(root), tmp_path / "no/such/audit.html")


def test_a_list_of_absolute_paths_is_cleaned_beside_itself(root, tmp_path):
    (tmp_path / "lists").mkdir()
    write_cleaned(check(root), tmp_path / "lists/once.csv")
    write_cleaned(check(tmp_path / "lists/once.csv"), tmp_path / "lists/twice.csv")
    assert rows_of(tmp_path / "lists/twice.csv")[1][0] == f"{root.as_posix()}/test/ants/0.jpg"
    assert len(open_images(tmp_path / "lists/twice.csv")) == 18
