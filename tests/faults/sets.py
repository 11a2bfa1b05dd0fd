"""Broken, odd and hostile data sets, made from scratch, each with what must come of it."""

import io
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Expected:
    """What must come of a data set: images that are used, or a sentence that refuses it."""

    used: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    """Reasons by path, each the beginning of what is said."""
    said: str = ""
    """Stands in one of the notes, or in the refusal where nothing is used."""


@dataclass(frozen=True)
class Case:
    """A data set in a folder of its own."""

    data: Path
    expected: Expected


def png(seed: int) -> bytes:
    """A small picture that is like no other seed's."""
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def put(file: Path, seed: int) -> Path:
    """Write a picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(png(seed))
    return file


def folders(root: Path, ants: int = 3, bees: int = 3) -> Path:
    """Two class folders."""
    for number in range(ants + bees):
        put(root / ("ants" if number < ants else "bees") / f"{number}.png", number)
    return root


def splits(root: Path, **classes: tuple[int, int, int]) -> Path:
    """Split folders; of each class so many images in train, val and test."""
    seed = 0
    for name, counts in classes.items():
        for split, count in zip(("train", "val", "test"), counts, strict=True):
            (root / split).mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                put(root / split / name / f"{seed}.png", seed)
                seed += 1
    return root


def folder_with_a_pipe(root: Path) -> Case:
    folders(root)
    os.mkfifo(root / "ants" / "pipe.png")
    return Case(root, Expected(6, {"ants/pipe.png": "not a file"}))


def folder_with_a_socket(root: Path) -> Case:
    folders(root)
    here = Path.cwd()
    os.chdir(root / "bees")  # a socket's path may only have a hundred characters
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.png")
    os.chdir(here)
    return Case(root, Expected(6, {"bees/socket.png": "not a file"}))


def folder_with_a_device(root: Path) -> Case:
    folders(root)
    (root / "ants" / "zero.png").symlink_to("/dev/zero")
    return Case(root, Expected(6, {"ants/zero.png": "not a file"}))


def link_to_itself(root: Path) -> Case:
    folders(root)
    (root / "ants" / "self.png").symlink_to("self.png")
    return Case(root, Expected(6, {"ants/self.png": "Too many levels of symbolic links"}))


def links_in_a_circle(root: Path) -> Case:
    folders(root)
    (root / "ants" / "up").symlink_to(root, target_is_directory=True)
    (root / "bees" / "across").symlink_to(root / "ants", target_is_directory=True)
    return Case(root, Expected(6))


def link_to_nothing(root: Path) -> Case:
    folders(root)
    (root / "ants" / "gone.png").symlink_to(root / "nowhere.png")
    return Case(root, Expected(6, {"ants/gone.png": "not there"}))


def folder_called_like_an_image(root: Path) -> Case:
    folders(root)
    (root / "ants" / "folder.png").mkdir()
    return Case(root, Expected(6))


def photos_of_a_phone(root: Path) -> Case:
    folders(root)
    (root / "ants" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (root / "ants" / "movie.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    return Case(root, Expected(6, said="1 of them are a phone's HEIC photos"))


def name_that_is_no_utf8(root: Path) -> Case:
    folders(root)
    Path(os.fsdecode(os.fsencode(root / "ants") + b"/k\xe4fer.png")).write_bytes(png(50))
    return Case(root, Expected(6, {"ants/k\\udce4fer.png": "its name is not UTF-8"}))


def class_that_is_no_utf8(root: Path) -> Case:
    folders(root)
    put(Path(os.fsdecode(os.fsencode(root) + b"/k\xe4fer")) / "a.png", 50)
    return Case(root, Expected(6, {"k\\udce4fer/a.png": "its name is not UTF-8"}))


def names_of_all_kinds(root: Path) -> Case:
    folders(root)
    for seed, name in enumerate(("new\nline", "🦋", "--help", "$(true)", "a;b", "x" * 240, "\t")):
        put(root / "ants" / f"{name}.png", 100 + seed)
    return Case(root, Expected(13))


def classes_of_all_kinds(root: Path) -> Case:
    names = ("new\nline", "🦋", "--help", "=1+1", "<b>bold</b>", "{{ x }}", "[red]", "a" * 200)
    for seed, name in enumerate(names):
        for again in range(2):
            put(root / name / f"{again}.png", 10 * seed + again)
    return Case(root, Expected(16))


def nothing_but_broken_images(root: Path) -> Case:
    for name in ("ants/a.jpg", "bees/b.jpg"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(b"no image")
    return Case(root, Expected(said="no readable image"))


def one_class_only(root: Path) -> Case:
    put(root / "ants" / "0.png", 0)
    return Case(root, Expected(said="images of one class only"))


def one_class_left(root: Path) -> Case:
    folders(root, ants=3, bees=1)
    next((root / "bees").iterdir()).write_bytes(b"")
    return Case(root, Expected(said="one class only, 'ants'"))


def class_with_one_image(root: Path) -> Case:
    return Case(folders(root, ants=9, bees=1), Expected(10))


def one_image_in_all(root: Path) -> Case:
    put(root / "0.png", 0)
    return Case(root, Expected(said="in no known layout"))


def the_same_image_everywhere(root: Path) -> Case:
    for number in range(8):
        put(root / ("ants" if number % 2 else "bees") / f"{number}.png", 0)
    return Case(root, Expected(8))


def empty_validation(root: Path) -> Case:
    splits(root, ants=(3, 0, 2), bees=(3, 0, 2))
    return Case(root, Expected(10))


def empty_training(root: Path) -> Case:
    splits(root, ants=(0, 3, 2), bees=(0, 3, 2))
    return Case(root, Expected(said="has no training images, only val, test"))


def class_missing_from_training(root: Path) -> Case:
    splits(root, ants=(4, 2, 2), bees=(4, 2, 2), moths=(0, 2, 2))
    return Case(root, Expected(20, said="1 class has no training image"))


def empty_folder(root: Path) -> Case:
    return Case(root, Expected(said="no images"))


def classes_file_with_a_number_twice(root: Path) -> Case:
    for number in range(4):
        put(root / str(number % 2) / f"{number}.png", number)
    (root / "classes.txt").write_text("0 ants\n0 bees\n")
    return Case(root, Expected(said="the number 0 stands twice"))


FOLDERS: tuple[Callable[[Path], Case], ...] = (
    folder_with_a_pipe, folder_with_a_socket, folder_with_a_device, link_to_itself,
    links_in_a_circle, link_to_nothing, folder_called_like_an_image, photos_of_a_phone,
    name_that_is_no_utf8, class_that_is_no_utf8, names_of_all_kinds, classes_of_all_kinds,
    nothing_but_broken_images, one_class_only, one_class_left, class_with_one_image,
    one_image_in_all, the_same_image_everywhere, empty_validation, empty_training,
    class_missing_from_training, empty_folder, classes_file_with_a_number_twice,
)  # fmt: skip
