"""What earlier runs have left decoded on the disk, by looking at it alone."""

from pathlib import Path

import numpy as np
import pytest

from lacewing.data.decoded import missing_share
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore
from lacewing.data.preprocess import Preprocessing

SETTINGS = Preprocessing(image_size=28, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
LARGER = Preprocessing(image_size=35, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def index(tmp_path, class_folders) -> ImageIndex:
    class_folders(tmp_path / "photos", {"ants": 6, "bees": 6})
    return open_images(tmp_path / "photos", cache_dir=tmp_path / "scans")


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def decode(index, rows, cache):
    pixels = PixelStore(index, SETTINGS, keep="disk", cache_dir=cache)
    for row in rows:
        pixels.get(row)


def test_what_was_decoded_is_not_missing(index, cache):
    assert missing_share(index, SETTINGS, cache) == 1
    assert not cache.exists(), "it only looks"
    decode(index, range(3), cache)
    assert missing_share(index, SETTINGS, cache) == 9 / 12
    assert missing_share(index, LARGER, cache) == 1, "of another size"
    decode(index, range(12), cache)
    assert missing_share(index, SETTINGS, cache) == 0


def test_what_another_file_has_is_copied(index, cache):
    decode(index.take([0, 1, 2, 3]), range(3), cache)
    assert missing_share(index, SETTINGS, cache) == 9 / 12
    decode(index, [0, 5], cache)
    assert missing_share(index, SETTINGS, cache) == 8 / 12, "the first is in both"


def test_a_damaged_file_has_nothing(index, cache):
    decode(index, range(12), cache)
    (path,) = (cache / "pixels").glob("*.u8")
    path.write_bytes(b"lacewing pixels")
    assert missing_share(index, SETTINGS, cache) == 1


def test_of_no_images_none_is_missing(index, cache):
    assert missing_share(index.take(np.empty(0, np.int64)), SETTINGS, cache) == 0
