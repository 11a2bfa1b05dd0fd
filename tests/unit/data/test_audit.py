"""What an audit finds in data sets with known faults, and what it leaves alone."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacewing.data import scan
from lacewing.data.audit import checks, extensions, pictures
from lacewing.data.audit.extensions import wrong_extension, wrong_extensions
from lacewing.data.audit.findings import KINDS
from lacewing.data.audit.read import read_images
from lacewing.data.audit.run import audit
from lacewing.data.formats import SUFFIXES, format_of
from lacewing.data.in_order import MOST_WAITING
from lacewing.errors import DataError


def scene(path: Path, seed: int, side: int = 96, **options) -> Path:
    """A picture with large shapes, as photos have, that a copy of lower quality keeps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    image.save(path, **options)
    return path


@pytest.fixture
def root(tmp_path):
    """A sound data set: two classes, twelve images each for training and three for testing."""
    folder, seed = tmp_path / "field", 0
    for split, count in (("train", 12), ("test", 3)):
        for name in ("ants", "bees"):
            for number in range(count):
                scene(folder / split / name / f"{number}.jpg", seed)
                seed += 1
    return folder


def check(root, **options):
    return audit(read_images(root, **options))


def told(report, kind):
    return [(finding.sentence, finding.files) for finding in report.of(kind)]


def test_nothing_is_found_in_a_sound_data_set(root):
    report = check(root)
    assert report.findings == ()
    assert report.errors == 0
    assert report.images == {"train": 24, "test": 6}


def test_an_equal_file_in_two_splits_is_a_leak(root):
    shutil.copy(root / "train/ants/0.jpg", root / "test/ants/copy.jpg")
    report = check(root)
    assert told(report, "leakage") == [
        ("2 equal files lie in train and test.", ("test/ants/copy.jpg", "train/ants/0.jpg"))
    ]
    assert report.errors == len(report.findings) == 1


def test_a_copy_of_lower_quality_and_size_in_two_splits_is_a_leak(root):
    with Image.open(root / "train/ants/0.jpg") as image:
        image.resize((64, 64)).save(root / "test/ants/copy.jpg", quality=40)
    assert told(check(root), "leakage") == [
        ("2 near-identical files lie in train and test.",
         ("test/ants/copy.jpg", "train/ants/0.jpg"))
    ]  # fmt: skip


def test_one_picture_with_two_labels_is_a_conflict(root):
    shutil.copy(root / "train/ants/0.jpg", root / "train/bees/copy.jpg")
    report = check(root)
    assert told(report, "conflict") == [
        ("2 equal files are labelled ants and bees.", ("train/ants/0.jpg", "train/bees/copy.jpg"))
    ]
    assert not report.of("duplicate")


def test_near_identical_pictures_under_two_labels_are_only_a_warning(root):
    scene(root / "train/bees/near.jpg", 0, quality=40)
    report = check(root)
    assert told(report, "near-conflict") == [
        ("2 near-identical files are labelled ants and bees.",
         ("train/ants/0.jpg", "train/bees/near.jpg"))
    ]  # fmt: skip
    assert len(report.findings) == 1
    assert report.errors == 0


def test_among_near_identical_pictures_of_two_labels_errors_are_those_of_one(root):
    scene(root / "train/bees/near.jpg", 0, quality=40)
    scene(root / "test/ants/near.jpg", 0, quality=60)
    leak = ("2 near-identical files lie in train and test.",
            ("test/ants/near.jpg", "train/ants/0.jpg"))  # fmt: skip
    report = check(root)
    assert told(report, "leakage") == [leak]
    assert report.of("near-conflict")[0].sentence.startswith("3 near-identical files are labelled")
    assert report.errors == 1
    shutil.copy(root / "train/bees/near.jpg", root / "train/ants/equal.jpg")
    report = check(root)
    assert told(report, "leakage") == [leak]
    assert told(report, "conflict") == [
        ("2 equal files are labelled ants and bees.",
         ("train/ants/equal.jpg", "train/bees/near.jpg"))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "kind", "word"),
    [({}, "duplicate", "equal"), ({"quality": 40}, "near-duplicate", "near-identical")],
)
def test_copies_in_one_class_and_split_are_warnings(root, options, kind, word):
    if options:
        scene(root / "train/ants/copy.jpg", 0, **options)
    else:
        shutil.copy(root / "train/ants/0.jpg", root / "train/ants/copy.jpg")
    report = check(root)
    assert told(report, kind) == [
        (f"2 {word} files show one picture of ants.", ("train/ants/0.jpg", "train/ants/copy.jpg"))
    ]
    assert report.errors == 0


def test_pictures_alike_only_to_the_hash_are_not_taken_for_one(root, monkeypatch):
    images = read_images(root)
    column = images.index.table.schema.get_field_index("dhash")
    same = images.index.table.set_column(
        column, "dhash", [np.full(len(images.index), 0x0F0F0F0F0F0F0F0F, np.uint64)]
    )
    blind = replace(images.index, table=same)
    groups, passed = pictures.same_pictures(blind)
    assert groups.tolist() == list(range(len(blind)))
    assert passed == []
    monkeypatch.setattr(pictures, "LARGEST", 10)
    report = audit(replace(images, index=blind))
    assert report.groups.tolist() == list(range(len(blind)))
    assert [finding.kind for finding in report.findings] == ["uncompared"]
    assert report.findings[0].sentence == (
        "30 pictures in train and test are too much alike to be compared: only equal files were "
        "found."
    )
    assert len(report.findings[0].files) == 30
    assert report.errors == 0


def test_likeness_is_passed_on(root):
    one, two, other = (np.eye(4, dtype=np.float32)[row] for row in range(3))
    between = (one + two) / np.sqrt(2)
    chain = [one, other, (one + between) / np.linalg.norm(one + between), between, None]
    assert pictures.alike(chain) == [[0, 2, 3]]
    assert pictures.alike([None, None]) == []


def test_broken_files_are_found_by_reason(root):
    content = (root / "train/ants/0.jpg").read_bytes()
    (root / "train/ants/cut.jpg").write_bytes(content[: len(content) // 2])
    (root / "train/ants/empty.jpg").write_bytes(b"")
    (root / "train/bees/empty.jpg").write_bytes(b"")
    assert told(check(root), "corrupt") == [
        ("2 files can't be read: empty file.", ("train/ants/empty.jpg", "train/bees/empty.jpg")),
        ("1 file can't be read: truncated.", ("train/ants/cut.jpg",)),
    ]


def test_a_data_set_of_broken_files_is_reported_not_refused(tmp_path):
    for name in ("ants/0.jpg", "bees/0.jpg"):
        (tmp_path / "field" / name).parent.mkdir(parents=True)
        (tmp_path / "field" / name).write_bytes(b"no image")
    report = check(tmp_path / "field")
    assert told(report, "corrupt") == [
        ("2 files can't be read: not an image.", ("ants/0.jpg", "bees/0.jpg"))
    ]
    assert report.images == {"all": 0}


def test_wrong_extensions_are_found_by_kind(root):
    scene(root / "train/ants/new.png", 90)
    (root / "train/ants/new.png").rename(root / "train/ants/new.JPG")
    assert told(check(root), "extension") == [
        ("1 file named .jpg: in truth PNG.", ("train/ants/new.JPG",))
    ]


def test_formats_are_looked_at_by_as_many_threads_as_the_place_takes(root, monkeypatch):
    asked, seen = [], []

    def look(paths, threads):
        asked.append(threads)
        return (None for _ in paths)

    monkeypatch.setattr(checks, "wrong_extensions", look)
    images = read_images(root)
    for readers in (1, 16):
        told = replace(images, readers=readers)
        audit(told, threads=3, progress=lambda *numbers: seen.append(numbers))
    assert asked == [3, 16]
    assert seen == [(done, 30) for done in range(1, 31)] * 2


@pytest.mark.parametrize(
    ("format_", "suffix"),
    [("JPEG", ".jpg"), ("PNG", ".png"), ("GIF", ".gif"), ("BMP", ".bmp"), ("TIFF", ".tif"),
     ("WebP", ".webp"), ("Netpbm", ".ppm"), ("JPEG 2000", ".jp2"), ("AVIF", ".avif")],
)  # fmt: skip
def test_what_pillow_writes_is_recognised(tmp_path, format_, suffix):
    if suffix == ".avif" and ".avif" not in Image.registered_extensions():
        pytest.skip("this Pillow writes no AVIF")
    path = scene(tmp_path / f"a{suffix}", 0)
    assert format_of(path.read_bytes()[:32]) == format_
    assert suffix in SUFFIXES[format_]
    assert wrong_extension(path) is None
    assert wrong_extension(path.rename(tmp_path / "a.other")) == format_


def test_of_millions_of_files_few_wait_for_their_format(monkeypatch):
    all_, taken, before_the_first = list(map(str, range(2 * MOST_WAITING))), [], []

    def look(path):
        while path.name == "0" and before_the_first[-1:] != [len(taken)]:
            before_the_first.append(len(taken))
            time.sleep(0.05)
        return path.name

    monkeypatch.setattr(extensions, "wrong_extension", look)
    assert list(wrong_extensions((taken.append(one) or one for one in all_), 2)) == all_
    assert before_the_first[-1] <= MOST_WAITING + 1


def test_a_tiff_of_more_than_4_gib_is_recognised():
    assert format_of(b"II+\0") == format_of(b"MM\0+") == "TIFF"


def test_nothing_is_said_of_unknown_formats_and_missing_files(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"PK\3\4")
    assert wrong_extension(tmp_path / "a.jpg") is None
    assert wrong_extension(tmp_path / "gone.jpg") is None
    assert wrong_extension(tmp_path / "no_suffix") is None


def test_tiny_and_unequal_classes(root):
    for number in range(98):
        shutil.copy(root / "train/ants/0.jpg", root / f"train/ants/more{number}.jpg")
    scene(root / "test/wasps/0.jpg", 91)
    for number in range(4):
        (root / f"train/bees/{number}.jpg").unlink()
    report = check(root)
    assert told(report, "imbalance") == [
        ("ants has 110 training images and bees 8: 14 to 1.", ())
    ]  # fmt: skip
    assert told(report, "tiny-class") == [
        ("2 classes have under 10 training images: wasps (0), bees (8).", ())
    ]


def test_odd_sizes(root):
    scene(root / "train/ants/small.png", 92, side=63)
    Image.fromarray(np.zeros((70, 211, 3), np.uint8)).save(root / "train/ants/long.png")
    Image.fromarray(np.ones((70, 210, 3), np.uint8)).save(root / "train/ants/fair.png")
    report = check(root)
    assert told(report, "small") == [
        ("1 file is under 64 pixels on the shorter side.", ("train/ants/small.png",))
    ]
    assert told(report, "long") == [
        ("1 file is over 3 times as long as wide.", ("train/ants/long.png",))
    ]


def test_lists_that_name_a_file_twice(tmp_path, ip102):
    root = ip102(tmp_path / "field")
    with (root / "train.txt").open("a") as file:
        file.write("00000.jpg 0\n00001.jpg 3\n")
    with (root / "test.txt").open("a") as file:
        file.write("00002.jpg 1\n")
    report = check(root)
    assert told(report, "repeated") == [("One file is named 2 times.", ("00000.jpg",))]
    assert told(report, "conflict") == [("One file is named with 0 and 3.", ("00001.jpg",))]
    assert told(report, "leakage") == [
        ("One file is named in train and test.", ("00002.jpg",))
    ]  # fmt: skip
    assert report.conflicts == {"00001.jpg"}


def test_findings_stand_in_the_order_of_their_kinds(root):
    scene(root / "train/ants/small.png", 92, side=63)
    shutil.copy(root / "train/ants/0.jpg", root / "test/ants/copy.jpg")
    shutil.copy(root / "train/ants/1.jpg", root / "train/ants/copy.jpg")
    kinds = [finding.kind for finding in check(root).findings]
    assert kinds == ["leakage", "duplicate", "small"]
    assert sorted(kinds, key=list(KINDS).index) == kinds


def test_a_second_audit_opens_only_what_is_new(root, tmp_path, monkeypatch):
    check(root, cache_dir=tmp_path / "cache")
    opened = []
    look_at = scan.look_at
    monkeypatch.setattr(scan, "look_at", lambda file: opened.append(file.name) or look_at(file))
    scene(root / "train/ants/new.jpg", 93)
    check(root, cache_dir=tmp_path / "cache")
    assert opened == ["new.jpg"]


def test_an_audit_changes_no_file(root):
    before = {path: path.read_bytes() for path in root.rglob("*.jpg")}
    check(root)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_places_that_are_not_there(tmp_path, root):
    with pytest.raises(DataError, match="There is no folder or file"):
        read_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match="The folder of the images"):
        read_images(root, images=tmp_path / "nowhere")
