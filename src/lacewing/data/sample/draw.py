"""`draw_sample`: the synthetic data set as files in a folder."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lacewing.data.index import SPLITS
from lacewing.data.sample.photo import draw_photo
from lacewing.data.sample.species import Species, make_species
from lacewing.data.splits import wanted
from lacewing.errors import DataError
from lacewing.hardware.limits import usable_cores

TEST_SHARE, VAL_SHARE = 0.3, 0.1
"""Of a class's images, as in IP102; the rest is for training."""
IMBALANCE = 82
"""IP102's largest class against its smallest, in the training split."""
FEWEST = 3
"""Images of a class: one for each split."""
JPEG_QUALITY = 88

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Planned:
    """A photo to draw: the `number`-th of its class."""

    label: int
    number: int
    split: str


@dataclass(frozen=True)
class Layout:
    """Where each photo goes, and the texts that lie beside them; relative to the folder."""

    images: list[str]
    texts: dict[str, str]


def draw_sample(
    folder: Path,
    *,
    classes: int = 8,
    images_per_class: int = 180,
    long_tail: bool = False,
    size: int = 160,
    seed: int = 0,
    layout: str = "folders",
    progress: Progress | None = None,
    threads: int | None = None,
) -> None:
    """Draw `classes` species of insects into a folder, as JPEG files in three splits.

    The shorter side of a photo has `size` pixels or up to 15 % more. `layout` is "folders"
    (train/aphid/00000.jpg) or "ip102" (ip102_v1.1/ with images/, train.txt, val.txt, test.txt
    and classes.txt, as in the release of IP102). With `long_tail` the classes shrink
    geometrically from `images_per_class` to 1/82 of it, but not below 3. A photo depends on
    the seed, its class and its number in the class only. `progress` gets photos done and in
    total. Without `threads` there is one for each usable core. Raises DataError for numbers or a
    layout that can't be had, OSError if the folder can't be written.
    """
    if layout not in LAYOUTS:
        raise DataError(f"The sample has no layout {layout!r}: ask for {' or '.join(LAYOUTS)}.")
    if size < 32 or seed < 0:
        raise DataError(
            f"The sample can't be drawn with size {size} and seed {seed}: the size must be 32 "
            "pixels or more, the seed 0 or more."
        )
    species = make_species(classes)
    photos = plan_photos(class_counts(classes, images_per_class, long_tail))
    places = LAYOUTS[layout](species, photos)
    for path in {str(Path(image).parent) for image in places.images}:
        (folder / path).mkdir(parents=True, exist_ok=True)
    for name, text in places.texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    draw = partial(_draw_file, folder, species, seed, size)
    with ThreadPoolExecutor(max_workers=threads or usable_cores().value) as pool:
        for done, _ in enumerate(pool.map(draw, photos, places.images), 1):
            if progress is not None:
                progress(done, len(photos))


def class_counts(classes: int, largest: int, long_tail: bool) -> list[int]:
    """Images of each class. Raises DataError if there are too few for three splits."""
    if largest < FEWEST:
        raise DataError(
            f"The sample can't be drawn with {largest} images per class: ask for {FEWEST} or "
            "more, one for each split."
        )
    if not long_tail:
        return [largest] * classes
    shares = [IMBALANCE ** (-label / (classes - 1)) for label in range(classes)]
    return [max(FEWEST, round(largest * share)) for share in shares]


def plan_photos(counts: Sequence[int]) -> list[Planned]:
    """Every photo, by class, in the order of their numbers: first those for training."""
    photos = []
    for label, count in enumerate(counts):
        sizes = wanted(count, VAL_SHARE / (1 - TEST_SHARE), TEST_SHARE)
        train = count - sizes.val - sizes.test
        splits = ["train"] * train + ["val"] * sizes.val + ["test"] * sizes.test
        photos += [Planned(label, number, split) for number, split in enumerate(splits)]
    return photos


def _draw_file(
    folder: Path, species: Sequence[Species], seed: int, size: int, photo: Planned, path: str
) -> None:
    image = draw_photo(species[photo.label], (seed, photo.label, photo.number), size)
    image.save(folder / path, quality=JPEG_QUALITY)


def _split_folders(species: Sequence[Species], photos: Sequence[Planned]) -> Layout:
    names = [one.name.replace(" ", "-") for one in species]
    return Layout([f"{p.split}/{names[p.label]}/{p.number:05}.jpg" for p in photos], {})


def _ip102(species: Sequence[Species], photos: Sequence[Planned]) -> Layout:
    """Files numbered by class, labels from 0 in the lists and from 1 in classes.txt."""
    files = [f"{number:05}.jpg" for number in range(1, len(photos) + 1)]
    lines: dict[str, list[str]] = defaultdict(list)
    for file, photo in zip(files, photos, strict=True):
        lines[photo.split].append(f"{file} {photo.label}\n")
    texts = {f"ip102_v1.1/{split}.txt": "".join(lines[split]) for split in SPLITS}
    names = [f"{number:<4}{one.name}\n" for number, one in enumerate(species, 1)]
    texts["ip102_v1.1/classes.txt"] = "".join(names)
    return Layout([f"ip102_v1.1/images/{file}" for file in files], texts)


LAYOUTS: dict[str, Callable[[Sequence[Species], Sequence[Planned]], Layout]] = {
    "folders": _split_folders,
    "ip102": _ip102,
}
