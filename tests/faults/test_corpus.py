"""Each image of the corpus is used or left out with a reason; none ends a scan."""

import json

import numpy as np
import pytest

from lacewing.data.open import open_images
from lacewing.data.pixels import load_pixels
from lacewing.data.preprocess import Preprocessing
from lacewing.data.rgb import UnreadableImageError
from lacewing.data.scan import Scanned, look_at
from lacewing.deploy.predict import load_predictor

from .corpus import corpus

CORPUS = corpus()
RULE = Preprocessing(image_size=14, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def test_it_is_large_enough():
    assert len(CORPUS) >= 60


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore:Image size")
@pytest.mark.parametrize("name", CORPUS)
def test_an_image_is_read_or_refused(tmp_path, name):
    content, readable = CORPUS[name]
    file = tmp_path / name
    file.write_bytes(content)
    found = look_at(file)
    assert isinstance(found, Scanned) == readable, found
    if readable:
        pixels = load_pixels(file, RULE)
        assert pixels.dtype == np.uint8
        assert min(pixels.shape[:2]) == 16
        assert pixels.shape[2] == 3
    else:
        assert found
        with pytest.raises((OSError, UnreadableImageError)):
            load_pixels(file, RULE)


def test_as_a_data_set_the_sound_ones_are_trained_on(tmp_path):
    for name, (content, _) in CORPUS.items():
        for label in ("ants", "bees"):
            (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "photos" / label / name).write_bytes(content)
    index = open_images(tmp_path / "photos", cache_dir=tmp_path / "cache")
    sound = {name for name, (_, readable) in CORPUS.items() if readable}
    used = set(index.table.column("path").to_pylist())
    assert used == {f"{label}/{name}" for label in ("ants", "bees") for name in sound}
    left_out = {one.path for one in index.excluded}
    assert len(left_out) == 2 * (len(CORPUS) - len(sound))
    assert all(one.reason for one in index.excluded)
    json.dumps(index.summary())


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore:Image size")
def test_a_model_names_the_sound_ones_and_says_why_not_the_others(finished_run, tmp_path):
    files = []
    for name, (content, _) in CORPUS.items():
        files.append(tmp_path / name)
        files[-1].write_bytes(content)
    told = load_predictor(finished_run.folder, "cpu").predict(files)
    assert [one.error is None for one in told] == [readable for _, readable in CORPUS.values()]
