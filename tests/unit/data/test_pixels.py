"""Pixels are decoded once, keep their aspect ratio, and are the same whoever asks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lacewing.data import pixels
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore, central_square, kept_bytes, kept_sizes, load_pixels
from lacewing.data.preprocess import Preprocessing
from lacewing.errors import DataError

SETTINGS = Preprocessing(image_size=28, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SIDE = SETTINGS.resize_size


@pytest.fixture
def index(tmp_path, class_folders) -> ImageIndex:
    class_folders(tmp_path / "photos", {"ants": 6, "bees": 6})
    return open_images(tmp_path / "photos", cache_dir=tmp_path / "cache")


def save(path: Path, width: int, height: int, **options) -> Path:
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("width", "height"), [(300, 213), (213, 300), (32, 32), (5, 9), (4000, 3001), (900, 100)]
)
def test_a_kept_image_has_the_size_that_was_foretold(tmp_path, width, height):
    pixels = load_pixels(save(tmp_path / "a.jpg", width, height), SETTINGS)
    widths, heights = kept_sizes(np.array([width]), np.array([height]), SIDE)
    assert pixels.shape == (heights[0], widths[0], 3)
    assert min(pixels.shape[:2]) == SIDE
    assert max(pixels.shape[:2]) <= 2 * SIDE


def test_a_rotated_photo_is_kept_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = load_pixels(save(tmp_path / "a.jpg", 120, 60, exif=exif), SETTINGS)
    assert pixels.shape[:2] == (2 * SIDE, SIDE)


def test_a_panorama_keeps_its_middle(tmp_path):
    picture = np.zeros((10, 100, 3), np.uint8)
    picture[:, 45:55] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    pixels = load_pixels(tmp_path / "a.png", SETTINGS)
    assert pixels[:, SIDE, 0].mean() > 250
    assert pixels[:, : SIDE // 4].mean() < 5


def test_aspect_is_kept(tmp_path):
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[70:130, 120:180] = 255  # a square
    Image.fromarray(picture).save(tmp_path / "a.png")
    bright = load_pixels(tmp_path / "a.png", SETTINGS)[:, :, 0] > 127
    assert abs(int(bright.any(0).sum()) - int(bright.any(1).sum())) <= 1


def test_the_central_square_is_a_copy_of_the_middle():
    pixels = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    assert np.array_equal(central_square(pixels, 4), pixels[1:5, 2:6])


@pytest.mark.parametrize("keep", ["ram", "disk", "none"])
def test_a_store_gives_the_files_pixels(index, keep):
    store = PixelStore(index, SETTINGS, keep=keep)
    for row in (3, 0, 3, 11):
        assert np.array_equal(store.get(row), load_pixels(index.paths()[row], SETTINGS))


def test_what_is_kept_is_not_read_again(index):
    store = PixelStore(index, SETTINGS, keep="ram")
    first = store.get(2).copy()
    Path(index.paths()[2]).unlink()
    assert np.array_equal(store.get(2), first)
    assert not store.lost


def test_kept_bytes_are_the_stores_size(index):
    store = PixelStore(index, SETTINGS, keep="ram")
    assert kept_bytes(index, SIDE) == sum(store.get(row).size for row in range(len(index)))


def test_a_vanished_image_is_replaced_by_one_of_its_class(index):
    said = []
    labels = index.column("label")
    Path(index.paths()[0]).unlink()
    store = PixelStore(index, SETTINGS, keep="none", on_lost=said.append)
    same = [row for row in range(1, len(index)) if labels[row] == labels[0]]
    assert np.array_equal(store.get(0), store.get(same[0]))
    store.get(0)
    assert len(said) == 1
    assert said[0].startswith(index.paths()[0])


def test_too_many_lost_images_end_the_run(index):
    for path in index.paths()[:3]:
        Path(path).write_bytes(b"")
    store = PixelStore(index, SETTINGS, keep="none")
    with pytest.raises(DataError, match="is the disk still there"):
        for row in range(3):
            store.get(row)


def test_the_image_that_replaces_a_lost_one_is_the_same_whoever_asks_first(index, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_LOST_SHARE", 1.0)
    same = np.flatnonzero(index.column("label") == 0).tolist()
    for row in same[1:3]:
        Path(index.path(row)).unlink()
    for order in (same, same[::-1]):
        store = PixelStore(index, SETTINGS, keep="none")
        found = {row: store.get(row) for row in order}
        for lost in same[1:3]:
            assert np.array_equal(found[lost], found[same[3]])


def test_of_images_that_are_judged_a_class_and_more_of_few_may_be_lost(index):
    same = np.flatnonzero(index.column("label") == 0)[:2]
    few = index.take(np.sort(np.append(same, np.flatnonzero(index.column("label") == 1))))
    for row in same:
        Path(index.path(row)).unlink()
    store = PixelStore(few, SETTINGS, keep="none")
    rows = np.flatnonzero(few.column("label") == 0)
    assert not any(store.get_judged(int(row)).any() for row in rows)
    assert sorted(store.lost) == rows.tolist()


def test_too_many_lost_images_end_judging_too(index):
    for path in index.paths():
        Path(path).unlink()
    store = PixelStore(index, SETTINGS, keep="none")
    with pytest.raises(DataError, match=r"6 of 12 images .* is the disk still there"):
        for row in range(len(index)):
            store.get_judged(row)


def test_a_file_replaced_by_another_shape_is_used_and_not_kept(index):
    store = PixelStore(index, SETTINGS, keep="ram")
    save(Path(index.paths()[1]), 64, 32)
    assert store.get(1).shape == (SIDE, 2 * SIDE, 3)
    assert store.get(0).shape == (SIDE, SIDE, 3)


def test_a_class_of_which_nothing_can_be_read_ends_the_run_however_large_it_is(index, monkeypatch):
    """Many lost images in a row are no deep recursion."""
    monkeypatch.setattr(pixels, "MAX_LOST_SHARE", 1.0)
    large = index.take(np.tile(np.arange(len(index)), 400))
    for path in index.paths():
        Path(path).unlink()
    store = PixelStore(large, SETTINGS, keep="none")
    with pytest.raises(DataError, match="no other image of its class can"):
        store.get(0)
    assert len(store.lost) > 1000
