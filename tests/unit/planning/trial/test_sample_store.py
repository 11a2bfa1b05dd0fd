"""Images that can't be read are passed over where they are only timed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.preprocess import Preprocessing
from lacewing.errors import DataError
from lacewing.planning.trial.sample_store import SampleStore

RULE = Preprocessing(image_size=32, mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture
def index(tmp_path, tint_index) -> ImageIndex:
    shutil.copytree(tint_index.root, tmp_path / "photos")
    return open_images(tmp_path / "photos", val_share=0.0, test_share=0.0, cache_dir=tmp_path)


@pytest.mark.parametrize("keep", ["none", "ram"])
def test_any_other_image_serves(index, keep):
    part = index.take(np.arange(3))
    for row in (0, 2):
        Path(part.path(row)).write_bytes(b"no image")
    store = SampleStore(part, RULE, keep=keep)
    assert all(np.array_equal(store.get(row), store.get(1)) for row in (0, 2, 0))
    assert set(store.lost) == {0, 2}


def test_where_none_can_be_read_the_disk_is_gone(index):
    shutil.rmtree(index.root)
    with pytest.raises(DataError, match=r"^None of 3 images .* is the disk still there\?$"):
        SampleStore(index.take(np.arange(3)), RULE, keep="none").get(1)
