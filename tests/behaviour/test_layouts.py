"""One run on each layout that data sets come in."""

import shutil
import tarfile

import pytest
import yaml

from lacewing.data.sample import draw_sample
from lacewing.store.run import read_json

FLAGS = ("-mn", "test_resnet", "-predt", "False", "-ep", "1", "-bz", "8", "--image-size", "32",
         "--tensorboard", "False", "--name", "run", "--output", "runs")  # fmt: skip
CLASSES = 3


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """A small set in the official layout."""
    root = tmp_path_factory.mktemp("release")
    draw_sample(root, classes=CLASSES, images_per_class=10, size=40, layout="ip102")
    return root / "ip102_v1.1"


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """The same in split folders."""
    root = tmp_path_factory.mktemp("folders") / "set"
    draw_sample(root, classes=CLASSES, images_per_class=10, size=40)
    return root


def official(release, folders, place):
    shutil.copytree(release, place / "data" / "IP102" / "Classification" / "ip102_v1.1")
    return "IP102"


def official_tar(release, folders, place):
    (place / "data").mkdir()
    with tarfile.open(place / "data" / "ip102_v1.1.tar", "w") as tar:
        tar.add(release, "ip102_v1.1")
    return "IP102"


def kaggle(release, folders, place):
    for split in ("train", "val", "test"):
        for number, name in enumerate(sorted(p.name for p in (folders / "train").iterdir())):
            shutil.copytree(folders / split / name, place / "classification" / split / str(number))
    return "classification"


def named_valid(release, folders, place):
    shutil.copytree(folders, place / "IP102")
    (place / "IP102" / "val").rename(place / "IP102" / "valid")
    return "IP102"


def lists_apart(release, folders, place):
    shutil.copytree(release / "images", place / "photos" / "images")
    (place / "lists").mkdir()
    for file in release.glob("*.txt"):
        shutil.copy(file, place / "lists")
    return "lists --images photos/images"


def d0(release, folders, place):
    shutil.copytree(folders, place / "unzip_D0")
    (place / "unzip_D0" / "val").rename(place / "unzip_D0" / "valid")
    return "D0"


def class_folders(release, folders, place):
    for split in ("train", "val", "test"):
        for folder in (folders / split).iterdir():
            (place / "all" / folder.name).mkdir(parents=True, exist_ok=True)
            for image in folder.iterdir():
                shutil.copy(image, place / "all" / folder.name)
    return "all"


def table(release, folders, place):
    shutil.copytree(folders, place / "photos")
    images = sorted((place / "photos").rglob("*.jpg"))
    rows = [f"{path.relative_to(place)},{path.parent.name}" for path in images]
    (place / "photos.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    return "photos.csv"


@pytest.mark.parametrize(
    "lay_out",
    [official, official_tar, kaggle, named_valid, lists_apart, d0, class_folders, table],
    ids=lambda function: function.__name__,
)
def test_it_trains(run, release, folders, tmp_path, lay_out):
    data = lay_out(release, folders, tmp_path)
    ended = run("train", "-data", *data.split(), *FLAGS)
    assert ended.code == 0, ended.text
    folder = tmp_path / "runs" / "run"
    dataset = read_json(folder / "dataset.json")
    assert len(dataset["classes"]) == CLASSES
    assert sum(dataset["images"].values()) == 10 * CLASSES
    assert all(dataset["images"].values())
    assert dataset["layout"] in ended.out
    assert yaml.safe_load((folder / "config.yaml").read_text())["data"] == data.split()[0]
    assert read_json(folder / "results.json")["splits"]["test"]["images"] > 0
