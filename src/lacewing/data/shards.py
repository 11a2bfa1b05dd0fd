"""Tar shards, as WebDataset lays them out: images that are never unpacked.

A sample is a group of members with one key, the part of a name before the first dot of its
last component: `000017.jpg` and `000017.cls`. The class is in the .cls (a number or a word)
or in a field of the .json, else it is the folder that the member lies in.
https://github.com/webdataset/webdataset
"""

import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lacewing.data.listing import SPLIT_WORDS, Entry, is_image_name, is_system
from lacewing.data.member import member_path, open_archive
from lacewing.data.remote.stand_in import find_stand_ins
from lacewing.data.shard_list import ShardImage, listed
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

    image: tarfile.TarInfo | None = None
    label: str | None = None


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


def read_shard(archive: Path, root: Path) -> list[Entry]:
    """The images of a shard, with paths below `root`. Raises DataError if it is damaged.

    Images without a class, and members that are no images, are passed over. It is read through
    only once in each of its states.
    """
    place = archive.relative_to(root)
    split, name = split_of(place), place.as_posix()
    return [
        Entry(member_path(name, image.start, image.size, image.name), image.label, split)
        for image in listed(archive, lambda: read_members(archive))
    ]


def read_members(archive: Path) -> list[ShardImage]:
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
    images = []
    for key, sample in samples.items():
        label = sample.label or key.rpartition("/")[0].rpartition("/")[2]
        if sample.image is not None and label:
            image = sample.image
            images.append(ShardImage(image.offset_data, image.size, image.name, label))
    return images


def collect(tar: tarfile.TarFile, archive: Path) -> dict[str, Sample]:
    """The samples of an open tar file by their keys. Raises DataError for a bad label."""
    samples: dict[str, Sample] = defaultdict(Sample)
    for member in members(tar):
        sample = samples[key_of(member.name)]
        suffix = suffix_of(member.name)
        if is_image_name(member.name):
            sample.image = sample.image or member
        elif suffix in (*LABEL_SUFFIXES, "json") and member.size <= MAX_LABEL_BYTES:
            file = tar.extractfile(member)
            assert file is not None
            label = read_label(file.read(), suffix, f"{member.name} in {archive}")
            sample.label = label or sample.label
    return samples


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
