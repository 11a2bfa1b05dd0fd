"""Rows that a pixel file copies from others: of images that other splits and seeds share."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from lacewing.data import pixel_file, pixel_place, pixels
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.pixel_table import MAGIC, PAGE, layout, map_bytes, rows_elsewhere
from lacewing.data.pixels import PixelStore, load_pixels
from lacewing.data.preprocess import Preprocessing

SETTINGS = Preprocessing(image_size=28, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def index(tmp_path, class_folders) -> ImageIndex:
    class_folders(tmp_path / "photos", {"ants": 6, "bees": 6})
    return open_images(tmp_path / "photos")


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The names of the files that are decoded, in their order."""
    names: list[str] = []

    def load(path, preprocessing):
        names.append("/".join(Path(path).parts[-2:]))
        return load_pixels(path, preprocessing)

    monkeypatch.setattr(pixels, "load_pixels", load)
    return names


def use(index, cache, rows, settings=SETTINGS) -> PixelStore:
    """Every row of a part of an index, checked against the image."""
    part = index.take(np.array(rows))
    store = PixelStore(part, settings, keep="disk", cache_dir=cache)
    for row, path in enumerate(part.paths()):
        assert np.array_equal(store.get(row), load_pixels(path, settings))
    return store


def names(index, rows) -> list[str]:
    return [index.table["path"][row].as_py() for row in rows]


def test_what_other_splits_have_is_not_decoded_again(index, tmp_path, decoded):
    use(index, tmp_path, [0, 1, 2, 3])
    use(index, tmp_path, [8, 9])
    decoded.clear()
    use(index, tmp_path, [9, 1, 5, 3, 8])
    assert decoded == names(index, [5])
    decoded.clear()
    use(index, tmp_path, [9, 1, 5, 3, 8])
    assert decoded == []


def test_what_was_copied_stays_when_the_other_file_is_gone(index, tmp_path, decoded):
    use(index, tmp_path, [0, 1, 2, 3])
    (other,) = (tmp_path / "pixels").glob("*.u8")
    use(index, tmp_path, [1, 2])
    other.unlink()
    decoded.clear()
    use(index, tmp_path, [1, 2])
    assert decoded == []


@pytest.mark.parametrize("change", [{"image_size": 32}, {"interpolation": "bicubic"}])
def test_pixels_made_in_another_way_are_not_taken(index, tmp_path, decoded, change):
    use(index, tmp_path, [0, 1])
    decoded.clear()
    use(index, tmp_path, [1], Preprocessing(**{**vars(SETTINGS), **change}))
    assert decoded == names(index, [1])


def test_a_damaged_row_is_decoded(index, tmp_path, decoded):
    shapes = use(index, tmp_path, [0, 1, 2]).shapes
    (other,) = (tmp_path / "pixels").glob("*.u8")
    content = bytearray(other.read_bytes())
    content[layout(shapes)[0][1] + 5] ^= 1
    other.write_bytes(content)
    decoded.clear()
    use(index, tmp_path, [2, 1])
    assert decoded == names(index, [1])


@pytest.mark.parametrize(
    "content",
    [b"", b"x", MAGIC + b" 3\n", MAGIC + b" 3\na\n9\n" + b"0\n", MAGIC + b" 3\na\nb\nc\n",
     (MAGIC + b" 3\na\n1000\n5000\n").ljust(5000, b"x"), MAGIC + b" 2\n"],
)  # fmt: skip
def test_files_that_are_none_are_passed_over(index, tmp_path, content):
    use(index, tmp_path, [0])
    (file,) = (tmp_path / "pixels").glob("*.u8")
    file.with_name(f"{file.stem.partition('-')[0]}-other.u8").write_bytes(content)
    use(index, tmp_path, [1, 0])


@pytest.mark.skipif(os.name == "nt", reason="Windows itself keeps files that are in use")
def test_a_file_with_rows_to_copy_may_make_room(index, tmp_path, decoded):
    use(index, tmp_path, [0, 1])
    (other,) = (tmp_path / "pixels").glob("*.u8")
    decoded.clear()
    store = PixelStore(index.take(np.array([1, 0])), SETTINGS, keep="disk", cache_dir=tmp_path)
    store.get(0)
    assert pixel_place.delete_unused(other)
    assert np.array_equal(store.get(1), load_pixels(index.path(0), SETTINGS))
    assert decoded == names(index, [0])


def test_a_row_that_could_not_be_kept_is_copied_again(index, tmp_path, decoded, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    use(index, tmp_path, [0, 1])
    said: list[str] = []
    part = index.take(np.array([1, 0]))
    store = PixelStore(part, SETTINGS, keep="disk", cache_dir=tmp_path, on_event=said.append)
    decoded.clear()
    monkeypatch.setattr(pixel_file.os, "write", refuse)
    for _ in range(2):
        assert np.array_equal(store.get(0), load_pixels(index.path(1), SETTINGS))
    assert decoded == []
    assert said == [], "other files have every row"


@pytest.mark.parametrize(("rows", "is_said"), [([1, 0], False), ([1, 0, 4], True)])
def test_a_read_only_file_is_said_where_a_row_is_nowhere(
    index, tmp_path, monkeypatch, rows, is_said
):
    opened = os.open

    def refuse(path, flags, *rest, **more):
        if flags & os.O_RDWR and str(path).endswith(".u8"):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, flags, *rest, **more)

    use(index, tmp_path, [0, 1])
    said: list[str] = []
    part = index.take(np.array(rows))
    monkeypatch.setattr(pixel_file.os, "open", refuse)
    PixelStore(part, SETTINGS, keep="disk", cache_dir=tmp_path, on_event=said.append)
    assert ["can't be written" in one for one in said] == [True] * is_said


def test_where_nothing_is_missing_no_file_is_opened(index, tmp_path):
    use(index, tmp_path, [0, 1])
    (file,) = (tmp_path / "pixels").glob("*.u8")
    contents = index.table["hash"].to_pylist()[:2]
    made = file.with_name(f"{file.stem.partition('-')[0]}-new.u8")
    assert sorted(rows_elsewhere(made, contents, np.array([True, True]))) == [0, 1]
    assert sorted(rows_elsewhere(made, contents, np.array([False, True]))) == [1]
    assert rows_elsewhere(made, contents, np.array([False, False])) == {}
    assert rows_elsewhere(file, contents, np.array([True, True])) == {}, "not of itself"


def test_a_whole_file_is_mapped(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * 17)
    with (tmp_path / "a").open("rb") as file:
        content = map_bytes(file.fileno())
    assert len(content) == 17 * 256 > PAGE and content[257] == 1
    assert not content.flags.writeable
