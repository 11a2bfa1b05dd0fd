"""Tar shards, as WebDataset lays them out: images that are never unpacked.

A sample is a group of members with one key, the part of a name before the first dot of its
last component: `000017.jpg` and `000017.cls`. The class is in the .cls (a number or a word)
or in a field of the .json, else it is the folder that the member lies in (see `in_folders`).
https://github.com/webdataset/webdataset
"""

import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lacewing.data.listing import SPLIT_WORDS, Entry, is_image_name, is_system
from lacewing.data.member import member_path, open_archive
from lacewing.data.remote.stand_in import find_stand_ins
from lacewing.data.shard_list import ShardImage, ShardList, listed
from lacewing.errors import DataError
from lacewing.parsing import parse_json
from lacewing.values import first_line

LABEL_SUFFIXES = ("cls", "cls.txt", "label", "class", "target")
JSON_FIELDS = ("label", "cls", "class", "target", "class_name", "category")
PROBES = 32
"""Members at the beginning of a tar file that tell whether it is a shard."""
MAX_LABEL_BYTES = 2**20


@dataclass
class Sample:
    """What a shard holds under one key."""

    images: list[tarfile.TarInfo] = field(default_factory=list)
    label: str | None = None


class Shard(NamedTuple):
    """The images of a shard, and what was passed over as in a ShardList."""

    entries: list[Entry]
    """The key of those that nothing but their folder gives a class is empty."""
    spare: int
    imageless: int


def find_shards(folder: Path) -> list[Path]:
    """The .tar files in a folder, and in its folders that are called like splits.

    Those on a server are among them, by the stand-ins that lie in their places.
    """
    inside = [sub for sub in folder.iterdir() if sub.name.lower() in SPLIT_WORDS and sub.is_dir()]
    found = [file for place in (folder, *inside) for file in place.glob("*.tar")]
    here = [file for file in found if file.is_file()]
    return sorted(file for file in (*here, *find_stand_ins(folder)) if not is_system(file.name))


def is_shard(archive: Path) -> bool:
    """Whether a tar file begins with images and their labels side by side."""
    try:
        with tarfile.open(archive, "r:") as tar:
            names = [member.name for member, _ in zip(tar, range(PROBES), strict=False)]
    except (tarfile.TarError, OSError, EOFError):
        return False
    images = {key_of(name) for name in names if is_image_name(name)}
    labels = {key_of(n) for n in names if suffix_of(n) in (*LABEL_SUFFIXES, "json")}
    return bool(images & labels)


def read_shard(archive: Path, root: Path) -> Shard:
    """The images of a shard, with paths below `root`. Raises DataError if it is damaged.

    Members that are no images are passed over. It is read through only once in each of its
    states.
    """
    place = archive.relative_to(root)
    split, name = split_of(place), place.as_posix()
    images, spare, imageless = listed(archive, lambda: read_members(archive))
    entries = [
        Entry(member_path(name, image.start, image.size, image.name), image.label or "", split)
        for image in images
    ]
    return Shard(entries, spare, imageless)


def read_members(archive: Path) -> ShardList:
    """The images of a shard, by reading it through. Raises DataError."""
    try:
        with open_archive(archive) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            samples = collect(tar, archive)
    except (tarfile.TarError, EOFError) as error:
        reason = first_line(error)
        raise DataError(
            f"The shard {archive} can't be read ({reason}): it must be a whole .tar that is not "
            "compressed."
        ) from None
    except OSError as error:
        raise DataError(f"The shard {archive} can't be read: {error.strerror or error}.") from None
    images = [
        ShardImage(image.offset_data, image.size, image.name, sample.label)
        for sample in samples
        for image in images_of(sample)
    ]
    there = sum(len(sample.images) for sample in samples)
    imageless = sum(not sample.images for sample in samples if sample.label)
    return ShardList(images, there - len(images), imageless)


def images_of(sample: Sample) -> list[tarfile.TarInfo]:
    """The images of a sample that are taken: one, of several the first whose suffix is plain.

    `0001.depth.png` beside `0001.jpg` is no photo. Where neither such a suffix nor a label is
    there, dots are a part of the names (`DSC.0.png`, `DSC.1.png`): each name is an image.
    """
    plain = [image for image in sample.images if "." not in suffix_of(image.name)]
    if plain or sample.label:
        return (plain or sample.images)[:1]
    by_stem = {image.name.rpartition(".")[0]: image for image in reversed(sample.images)}
    return list(reversed(by_stem.values()))


def collect(tar: tarfile.TarFile, archive: Path) -> list[Sample]:
    """The samples of an open tar file. Raises DataError for a bad label."""
    samples: dict[str, Sample] = defaultdict(Sample)
    for member in members(tar):
        sample = samples[key_of(member.name)]
        suffix = suffix_of(member.name)
        if is_image_name(member.name):
            sample.images.append(member)
        elif suffix in (*LABEL_SUFFIXES, "json") and member.size <= MAX_LABEL_BYTES:
            file = tar.extractfile(member)
            assert file is not None
            label = read_label(file.read(), suffix, f"{member.name} in {archive}")
            sample.label = label or sample.label
    return list(samples.values())


def members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The regular files of a tar file, without what systems leave behind."""
    for member in tar:
        if member.isreg() and not member.issparse() and not is_system(Path(member.name).name):
            yield member


def read_label(content: bytes, suffix: str, where: str) -> str | None:
    """The class in a label's file; None for a .json that names none. Raises DataError."""
    try:
        text = content.decode("utf-8").strip()
        if suffix != "json":
            return text or None
        fields = parse_json(text)
    except ValueError:
        raise DataError(f"The label {where} is no text: it must be a class.") from None
    if not isinstance(fields, dict):
        return None
    values = (fields.get(name) for name in JSON_FIELDS)
    return next((str(v) for v in values if isinstance(v, str | int) and str(v)), None)


def key_of(name: str) -> str:
    """`train/000017.seg.png` -> `train/000017`."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    return f"{folder}{slash}{last.split('.', 1)[0]}"


def suffix_of(name: str) -> str:
    """`train/000017.seg.PNG` -> `seg.png`."""
    return name.rpartition("/")[2].partition(".")[2].lower()


def split_of(path: Path) -> str | None:
    """The split that a shard's folder or name says: `imagenet-train-000012.tar` -> train."""
    words = re.split(r"[^a-z]+", path.as_posix().lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)
