"""The drawn data set as files: which there are, that they are the same again, and hard enough."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lacewing.data.dhash import near_identical_groups
from lacewing.data.open import open_images
from lacewing.data.sample import contact_sheet, draw, draw_sample
from lacewing.data.sample.draw import class_counts, plan_photos
from lacewing.errors import DataError
from lacewing.hardware.machine import Limit

NAMES = (
    "aphid", "ladybird", "weevil", "moth", "beetle", "grasshopper", "hoverfly", "planthopper",
)  # fmt: skip


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    draw_sample(folder, images_per_class=10, size=48)
    return folder


def test_the_folders_hold_every_class_in_every_split(drawn):
    index = open_images(drawn)
    assert index.classes == tuple(sorted(NAMES))
    assert [index.counts(split).tolist() for split in ("train", "val", "test")] == [
        [6] * 8, [1] * 8, [3] * 8,
    ]  # fmt: skip
    assert index.excluded == ()


def test_sizes_are_as_asked_and_vary(drawn):
    index = open_images(drawn)
    widths, heights = index.column("width"), index.column("height")
    short, long = np.minimum(widths, heights), np.maximum(widths, heights)
    assert short.min() >= 48 and short.max() <= 55 and len(set(short.tolist())) > 3
    assert (long / short).max() <= 1.36 and (widths > heights).any() and (widths < heights).any()


def test_the_same_seed_draws_the_same_bytes_with_any_number_of_threads(drawn, tmp_path):
    draw_sample(tmp_path, images_per_class=10, size=48, threads=1)
    assert files_of(tmp_path) == files_of(drawn)


def test_every_usable_core_has_a_thread(monkeypatch, tmp_path):
    pools = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, max_workers):
            pools.append(max_workers)
            super().__init__(max_workers)

    monkeypatch.setattr(draw, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(draw, "usable_cores", lambda: Limit(value=5, source="here"))
    draw_sample(tmp_path / "all", classes=2, images_per_class=3, size=32)
    draw_sample(tmp_path / "one", classes=2, images_per_class=3, size=32, threads=1)
    assert pools == [5, 1]


def test_another_seed_draws_other_photos(drawn, tmp_path):
    draw_sample(tmp_path, images_per_class=10, size=48, seed=1)
    first, second = files_of(drawn), files_of(tmp_path)
    assert first.keys() == second.keys()
    assert not {*first.values()} & {*second.values()}


def test_a_photo_depends_on_its_class_and_number_only(drawn, tmp_path):
    draw_sample(tmp_path, classes=9, images_per_class=3, size=48, layout="ip102")
    images = tmp_path / "ip102_v1.1" / "images"
    for label, name in enumerate(NAMES):
        first = drawn / "train" / name / "00000.jpg"
        assert (images / f"{3 * label + 1:05}.jpg").read_bytes() == first.read_bytes()


def test_the_layout_of_ip102_is_recognised(tmp_path):
    draw_sample(tmp_path, classes=10, images_per_class=10, size=40, layout="ip102")
    index = open_images(tmp_path)
    assert (
        index.layout == "lists of images (train.txt, val.txt, test.txt) with the images in images/"
    )
    assert index.classes[:8] == NAMES and len(index.classes) == 10
    assert index.class_ids == tuple(str(number) for number in range(10))
    assert index.counts("train").tolist() == [6] * 10
    assert index.counts("val").tolist() == [1] * 10
    assert index.counts("test").tolist() == [3] * 10
    folder = tmp_path / "ip102_v1.1"
    assert (folder / "classes.txt").read_text().startswith("1   aphid\n2   ladybird\n")
    assert (folder / "train.txt").read_text().startswith("00001.jpg 0\n")
    by_path = dict(zip(index.table["path"].to_pylist(), index.column("label"), strict=True))
    assert [by_path[path] for path in sorted(by_path)] == sorted(by_path.values())


def test_a_long_tail_falls_geometrically_to_a_share_of_one_in_82():
    counts = class_counts(102, 820, long_tail=True)
    assert counts[0] == 820 and counts[-1] == 10
    ratios = np.array(counts[1:40]) / counts[:39]
    assert np.allclose(ratios, 82 ** (-1 / 101), rtol=0.01)


def test_no_class_of_a_long_tail_has_fewer_images_than_splits():
    counts = class_counts(30, 100, long_tail=True)
    assert counts[0] == 100 and min(counts) == 3 and counts == sorted(counts, reverse=True)
    photos = plan_photos(counts)
    present = {(photo.label, photo.split) for photo in photos}
    assert len(photos) == sum(counts) and len(present) == 90


def test_no_photo_has_a_near_twin_in_another_split(tmp_path):
    draw_sample(tmp_path, images_per_class=20, size=48)
    index = open_images(tmp_path)
    columns = [index.column(name) for name in ("dhash", "width", "height")]
    groups = near_identical_groups(index.table["hash"].to_pylist(), *columns)
    splits = index.column("split")
    assert all(len(set(splits[groups == group])) == 1 for group in set(groups.tolist()))


def test_progress_counts_up_to_the_total(tmp_path):
    seen = []
    draw_sample(
        tmp_path, classes=2, images_per_class=3, size=32,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(number, 6) for number in range(1, 7)]


def test_the_name_sample_draws_it_into_the_cache():
    index = open_images(
        "sample",
        draw_sample=lambda folder: draw_sample(folder, classes=2, images_per_class=3, size=32),
    )
    assert index.name == "sample" and index.classes == ("aphid", "ladybird") and len(index) == 6


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"classes": 1}, "2 to 358 classes, not 1"),
        ({"classes": 359}, "2 to 358 classes, not 359"),
        ({"images_per_class": 2}, "2 images per class: ask for 3 or more"),
        ({"layout": "zip"}, "no layout 'zip': ask for folders or ip102"),
        ({"size": 8}, "size 8 and seed 0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(tmp_path, wish, message):
    with pytest.raises(DataError, match=message):
        draw_sample(tmp_path / "sample", **wish)
    assert not (tmp_path / "sample").exists()


def test_a_contact_sheet_has_a_row_for_each_class(drawn, tmp_path):
    contact_sheet(drawn, tmp_path / "sheet.png", columns=5)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (5 * 128, 8 * (128 + 16))
        tiles = np.asarray(sheet).reshape(8, 144, 5, 128, 3)[:, 16:]
    assert (tiles.std(axis=(1, 3, 4)) > 5).all()


@pytest.mark.slow
def test_a_linear_model_on_pixels_fails(tmp_path):
    draw_sample(tmp_path, images_per_class=60, size=48)
    index = open_images(tmp_path)
    (train, train_labels), (test, test_labels) = (
        _pixels(index.split(split)) for split in ("train", "test")
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=200))
    accuracy = model.fit(train, train_labels).score(test, test_labels)
    assert 0.125 < accuracy < 0.6


def _pixels(index):
    images = []
    for path in index.paths():
        with Image.open(path) as image:
            images.append(np.asarray(image.resize((32, 32))).ravel() / 255)
    return np.stack(images), index.column("label")
