"""Every layout in the wild, and what each says it is."""

import os
from pathlib import Path

import pytest

from lacewing.data.index import ImageIndex
from lacewing.data.layouts import LAYOUTS, table
from lacewing.data.listing import class_of_paths
from lacewing.data.open import open_images
from lacewing.errors import DataError


def counts(index: ImageIndex) -> dict[str, int]:
    return {split: index.split(split).table.num_rows for split in ("train", "val", "test")}


def label_of(index: ImageIndex, path: str) -> str:
    row = index.table.column("path").to_pylist().index(path)
    return index.classes[index.column("label")[row]]


def test_class_folders(tmp_path, class_folders):
    class_folders(tmp_path / "set", {"bees": 8, "Ants": 8})
    index = open_images(str(tmp_path / "set"))
    assert index.classes == ("Ants", "bees")
    assert index.class_ids == ()
    assert index.layout == "class folders (2)"
    assert counts(index) == {"train": 12, "val": 2, "test": 2}
    assert any("split" in note and "made here" in note for note in index.notes)
    assert index.name == "set"


def test_nested_class_folders(tmp_path, jpeg):
    for number, path in enumerate(["rice/roller", "rice/borer", "corn/borer", "bees"]):
        for copy in range(3):
            jpeg(tmp_path / path / f"{copy}.jpg", 10 * number + copy)
    jpeg(tmp_path / "bees" / "more" / "x.jpg", 99)
    index = open_images(str(tmp_path))
    assert index.classes == ("bees", "corn/borer", "rice/borer", "rice/roller")
    assert "nested" in index.layout
    assert label_of(index, "bees/more/x.jpg") == "bees"


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Valid"])
def test_split_folders(tmp_path, class_folders, val):
    class_folders(tmp_path / "train", {"ants": 4, "bees": 3}, 0)
    class_folders(tmp_path / val, {"ants": 2, "bees": 1}, 100)
    class_folders(tmp_path / "test", {"ants": 1, "bees": 2}, 200)
    index = open_images(str(tmp_path))
    assert counts(index) == {"train": 7, "val": 3, "test": 3}
    assert index.layout == f"split folders (train, {val}, test) with class folders (2)"
    assert index.notes == ()


def test_split_folders_without_validation(tmp_path, class_folders):
    class_folders(tmp_path / "train", {"ants": 10, "bees": 10}, 0)
    class_folders(tmp_path / "test", {"ants": 2, "bees": 2}, 100)
    index = open_images(str(tmp_path), val_share=0.2)
    assert counts(index) == {"train": 16, "val": 4, "test": 4}
    assert all(path.startswith("test/") for path in index.split("test").column("path"))


def test_official_ip102(tmp_path, ip102):
    names = [f"pest {number}" for number in range(1, 13)]
    root = ip102(tmp_path / "ip102_v1.1", classes=12, per=1, names=names)
    index = open_images(str(root))
    assert index.classes == tuple(names)
    assert index.class_ids == tuple(str(number) for number in range(12))
    assert index.name == "IP102"
    assert "train.txt, val.txt, test.txt" in index.layout and "images/" in index.layout
    assert counts(index) == {"train": 12, "val": 12, "test": 12}
    assert label_of(index, "00010.jpg") == "pest 11"


def test_official_ip102_wrapped_with_classes_above(tmp_path, ip102):
    root = ip102(tmp_path / "IP102" / "Classification" / "ip102_v1.1", names=list("abcd"))
    (root / "classes.txt").rename(root.parent / "classes.txt")
    index = open_images(str(tmp_path / "IP102"))
    assert index.classes == tuple("abcd")


@pytest.mark.parametrize("name", ["ip102_v1.1.tar", "ip102_v1.1-002.tar"])
def test_ip102_in_its_tar(tmp_path, ip102, tarred, name, monkeypatch):
    root = ip102(tmp_path / "made" / "ip102_v1.1")
    archive = tarred(root, tmp_path / "home" / "data" / name)
    monkeypatch.chdir(tmp_path / "home")
    calls = []
    index = open_images("IP102", progress=lambda *done: calls.append(done))
    assert counts(index) == {"train": 8, "val": 8, "test": 8}
    assert index.name == "IP102"
    assert calls[0][1] > 24 and calls[-1] == (24, 24)
    again = open_images(str(archive))
    assert again.fingerprint() == index.fingerprint()


def test_kaggle_mirror_with_lists_beside(tmp_path, jpeg):
    root = tmp_path / "archive" / "classification"
    number = 0
    for split in ("train", "val", "test"):
        for label in range(12):
            jpeg(root / split / str(label) / f"{number:05}.jpg", number)
            number += 1
    for split in ("train", "val", "test"):
        (tmp_path / "archive" / f"{split}.txt").write_text("00000.jpg 0\n00001.jpg 1\n")
    (tmp_path / "archive" / "classes.txt").write_text(
        "".join(f"{n} pest {n}\n" for n in range(1, 13))
    )
    index = open_images(str(tmp_path / "archive"))
    assert index.class_ids == tuple(map(str, range(12))), "sorted as numbers, not as text"
    assert index.classes[2] == "pest 3" and index.classes[10] == "pest 11"
    assert label_of(index, "train/10/00010.jpg") == "pest 11"
    assert "numbered class folders (12)" in index.layout


def test_species_folders_with_valid(tmp_path, class_folders):
    root = tmp_path / "IP102"
    for seed, split in enumerate(("train", "valid", "test")):
        class_folders(root / split, {"rice leaf roller": 2, "aphids": 2}, seed * 100)
    index = open_images(str(root))
    assert index.classes == ("aphids", "rice leaf roller")
    assert index.name == "IP102"


def test_lists_and_images_apart(tmp_path, ip102):
    root = ip102(tmp_path / "x")
    (tmp_path / "y" / "dataset").mkdir(parents=True)
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").rename(tmp_path / "y" / "dataset" / f"{split}.txt")
    with pytest.raises(DataError, match="--images FOLDER"):
        open_images(str(tmp_path / "y"))
    apart = open_images(str(tmp_path / "y"), images=root / "images")
    assert counts(apart) == {"train": 8, "val": 8, "test": 8}
    (root / "images").rename(tmp_path / "y" / "images")
    beside = open_images(str(tmp_path / "y"))
    assert beside.fingerprint() == apart.fingerprint()


def test_d0(tmp_path, class_folders, monkeypatch):
    for seed, split in enumerate(("train", "valid", "test")):
        class_folders(tmp_path / "data" / "unzip_D0" / split, {"a": 2, "b": 2}, seed * 100)
    monkeypatch.chdir(tmp_path)
    index = open_images("d0")
    assert counts(index) == {"train": 4, "val": 4, "test": 4}
    assert index.name == "D0"


def test_ids_in_folder_names(tmp_path, class_folders):
    class_folders(tmp_path, {"12-rice-leafhopper": 4, "2-aphids": 4, "101-mango fly": 4})
    index = open_images(str(tmp_path))
    assert index.class_ids == ("2", "12", "101")
    assert index.classes == ("aphids", "rice-leafhopper", "mango fly")


@pytest.mark.parametrize(
    "text",
    [
        "path,label,split\nimg/0.jpg,ants,train\nimg/1.jpg,bees,train\n"
        'img/2.jpg,ants,valid\n"img/3, b.jpg","bees",test\n',
        "\ufeffFilename;Class;Set\r\nimg/0.jpg;ants;train\r\nimg/1.jpg;bees;train\r\n"
        "img/2.jpg;ants;val\r\nimg/3, b.jpg;bees;Test\r\n\r\n",
        "img/0.jpg,ants,train\nimg/1.jpg,bees,train\n"
        'img\\2.jpg,ants,val\n"./img/3, b.jpg",bees,test',
        "split\tlabel\tpath\ntrain\tants\timg/0.jpg\ntrain\tbees\timg/1.jpg\n"
        "val\tants\timg/2.jpg\ntest\tbees\timg/3, b.jpg\n",
    ],
    ids=["plain", "excel", "no header", "tabs"],
)
def test_csv(tmp_path, jpeg, text):
    for number, name in enumerate(["0.jpg", "1.jpg", "2.jpg", "3, b.jpg"]):
        jpeg(tmp_path / "img" / name, number)
    (tmp_path / "labels.csv").write_text(text, newline="")
    index = open_images(str(tmp_path / "labels.csv"))
    assert counts(index) == {"train": 2, "val": 1, "test": 1}
    assert label_of(index, "img/3, b.jpg") == "bees"
    assert index.name == "labels"


def test_csv_in_a_folder_of_images(tmp_path, jpeg):
    lines = ["file,species"]
    for number in range(12):
        jpeg(tmp_path / "images_part_1" / f"{number}.jpg", number)
        jpeg(tmp_path / "images_part_2" / f"{number}.jpg", 50 + number)
        lines.append(f"images_part_1/{number}.jpg,{'ants' if number % 2 else 'bees'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    index = open_images(str(tmp_path))
    assert index.classes == ("ants", "bees"), "not images_part_1 and images_part_2"
    assert len(index) == 12 and "labels.csv" in index.layout


def test_a_csv_about_something_else_does_not_hide_the_folders(tmp_path, class_folders):
    class_folders(tmp_path, {"ants": 4, "bees": 4})
    (tmp_path / "weather.csv").write_text("name,class\nMonday,wet\nTuesday,\n")
    assert open_images(str(tmp_path)).layout == "class folders (2)"


def rows_of(folders, *, whole=False):
    """Lines of a table of the images in folders, two classes in each; with the whole paths."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.jpg"))]
    names = [f"{path.parent.name}/{path.name}" if whole else path.name for path in paths]
    return [f"{name},{'ants' if number % 2 else 'bees'}" for number, name in enumerate(names)]


@pytest.fixture
def batches(tmp_path, jpeg):
    """Two folders of images that are no classes."""
    for number in range(12):
        jpeg(tmp_path / f"batch{1 + number // 6}" / f"{number}.jpg", number)
    return [tmp_path / "batch1", tmp_path / "batch2"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("batch1/3.jpg,", r"labels\.csv, line 14: the label is missing"),
        ("batch1/3.jpg,K\xe4fer", r"labels\.csv, line 14: this is not UTF-8"),
        ('batch1/3.jpg,"ants', r"labels\.csv, line 1\d: unexpected end of data"),
    ],
)
def test_a_table_with_a_fault_is_not_dropped_for_the_folders(tmp_path, batches, fault, said):
    text = "\n".join(["path,label", *rows_of(batches, whole=True), fault])
    (tmp_path / "labels.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=said):
        open_images(str(tmp_path))


def test_a_fault_in_a_table_is_named_where_the_folder_of_the_images_is_wrong(
    tmp_path, class_folders
):
    class_folders(tmp_path / "set", {"ants": 3, "bees": 3})
    (tmp_path / "other").mkdir()
    (tmp_path / "set" / "labels.csv").write_text("path,label\nx.jpg,ants\ny.jpg,\n")
    with pytest.raises(DataError, match=r"labels\.csv, line 3: the label is missing"):
        open_images(str(tmp_path / "set"), images=tmp_path / "other")


def test_a_fault_in_a_table_beside_its_images_is_named(tmp_path, jpeg):
    for number in range(4):
        jpeg(tmp_path / "images" / f"{number}.jpg", number)
    (tmp_path / "labels.csv").write_text("path,label\n0.jpg,ants\n1.jpg,bees\n2.jpg,\n3.jpg,a\n")
    with pytest.raises(DataError, match=r"labels\.csv, line 4: the label is missing"):
        open_images(str(tmp_path))


@pytest.mark.parametrize("name", ["train.csv", "labels.csv", "train.txt"])
def test_the_one_folder_that_holds_what_a_list_names_is_found(tmp_path, jpeg, name):
    for number in range(12):
        jpeg(tmp_path / "train_images" / f"{number}.jpg", number)
        jpeg(tmp_path / "test_images" / f"{50 + number}.jpg", 50 + number)
    lines = [f"{number}.jpg,{number % 3}" for number in range(12)]
    (tmp_path / name).write_text("\n".join(["image_id,label"] * (name != "train.txt") + lines))
    index = open_images(str(tmp_path))
    assert index.classes == ("0", "1", "2") and len(index) == 12
    assert index.root == (tmp_path / "train_images").resolve()
    if name != "train.txt":
        assert len(open_images(str(tmp_path / name))) == 12


@pytest.mark.parametrize("name", ["labels.csv", "train.txt"])
def test_a_list_whose_images_lie_in_several_folders_is_refused(tmp_path, batches, name):
    lines = [line.replace("ants", "0").replace("bees", "1") for line in rows_of(batches)]
    (tmp_path / name).write_text("\n".join(["path,label"] * (name != "train.txt") + lines))
    with pytest.raises(DataError, match=f"{name} names images like '0.jpg', .* lie in .*batch1, "):
        open_images(str(tmp_path))


@pytest.mark.parametrize(
    ("images", "said", "remedy"),
    [
        (None, "not the way to them", "say with --images FOLDER where they begin"),
        ("other", "they are not in {}", "name another folder with --images"),
    ],
)
def test_the_ways_out_of_a_table_whose_paths_lead_nowhere(
    tmp_path, jpeg, tmp_path_factory, images, said, remedy
):
    for number in range(4):
        jpeg(tmp_path / f"batch{number % 2}" / f"{number}.jpg", number)
    table = tmp_path / "meta.csv"
    table.write_text("name,category\n0.jpg,a\n1.jpg,a\n2.jpg,b\n3.jpg,b\n")
    place = tmp_path_factory.mktemp(images) if images else None
    with pytest.raises(DataError) as refusal:
        open_images(str(tmp_path), images=place)
    assert str(refusal.value) == (
        f"{table} names images like '0.jpg', but {said.format(place)}: such lie in "
        f"{tmp_path / 'batch0'}, {tmp_path / 'batch1'}. Correct its paths, or {remedy}. If the "
        "folders are the classes, move meta.csv away."
    )


def test_a_few_images_in_another_folder_are_not_dropped(tmp_path, jpeg):
    """The tables name so many images that none of the test's is looked for."""
    lines = [f"{number}.jpg,{number % 2}" for number in range(200)]
    for number in (*range(0, 200, 10), 198, 199):
        folder = "train_images" if number < 198 else "test_images"
        jpeg(tmp_path / folder / f"{number}.jpg", number)
    for name, part in (("train", lines[:198]), ("test", lines[198:])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["image_id,label", *part]))
    with pytest.raises(DataError, match=r"such lie in .*test_images, .*train_images"):
        open_images(str(tmp_path))


def test_of_two_tables_of_images_in_folders_one_must_be_named(tmp_path, batches):
    for name in ("labels", "older"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["path,label", *rows_of(batches)]))
    with pytest.raises(DataError, match="2 tables"):
        open_images(str(tmp_path))


@pytest.fixture
def entered(monkeypatch):
    """The names of the folders that are read; `locked` can't be."""
    names = []
    plain = os.scandir

    def scandir(place):
        names.append(Path(place).name)
        if names[-1] == "locked":
            raise PermissionError(13, "Permission denied", str(place))
        return plain(place)

    monkeypatch.setattr(os, "scandir", scandir)
    return names


def test_images_are_looked_for_once_for_all_tables(tmp_path, class_folders, entered):
    class_folders(tmp_path, {"ants": 3})
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text("name,class\nMonday,wet\nTuesday,dry\n")
    assert table(tmp_path, None) is None
    assert entered.count("ants") == 1


def test_a_table_that_is_named_is_not_looked_for_in_all_below_its_folder(
    tmp_path, class_folders, entered
):
    class_folders(tmp_path / "photos" / "deep", {"ants": 3})
    (tmp_path / "locked").mkdir()
    (tmp_path / "all.csv").write_text("file,species\nx.jpg,ants\ny.jpg,bees\n")
    with pytest.raises(DataError, match=r"but they are not in .*--images FOLDER"):
        open_images(str(tmp_path / "all.csv"))
    assert "ants" not in entered


def test_a_folder_that_can_not_be_read_does_not_hide_what_contradicts_a_table(
    tmp_path, batches, entered
):
    (tmp_path / "locked").mkdir()
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows_of(batches)]))
    with pytest.raises(DataError, match=r"such lie in .*batch1, .*batch2"):
        open_images(str(tmp_path))


def test_a_table_that_says_what_the_folders_say_leaves_it_to_them(tmp_path, jpeg):
    lines = ["file,species"]
    for number in range(12):
        name = "ants" if number < 6 else "bees"
        jpeg(tmp_path / name / f"{number}.jpg", number)
        lines.append(f"{number}.jpg,{name}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    assert open_images(str(tmp_path)).layout == "class folders (2)"


def test_numbers_of_folds_are_no_splits(tmp_path, batches):
    lines = [f"{row},{number % 5}" for number, row in enumerate(rows_of(batches, whole=True))]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,fold", *lines]))
    index = open_images(str(tmp_path))
    assert index.layout == "table (labels.csv; no splits)" and index.classes == ("ants", "bees")
    words = [row[:-1] + ("test" if row[-1] == "4" else "train") for row in lines]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,fold", *words]))
    assert open_images(str(tmp_path)).layout == "table (labels.csv; splits train, test)"


def test_csv_with_numbers_as_labels_takes_names_from_classes_txt(tmp_path, jpeg):
    lines = []
    for number in range(22):
        jpeg(tmp_path / f"{number}.jpg", number)
        lines.append(f"{number}.jpg,{number % 11}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    (tmp_path / "classes.txt").write_text("\n".join(f"{n}\tpest {n}" for n in range(1, 12)))
    index = open_images(str(tmp_path / "table.csv"))
    assert index.classes == tuple(f"pest {n}" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label,split\n0.jpg,ants,tomorrow\n", "line 2: the split must be"),
        ("path,label\n0.jpg,ants\n0.jpg,\n", "line 3: the label is missing"),
        ("path,label\n,ants\n", "line 2: the path is missing"),
        ("0.jpg\n", "line 1: the label is missing"),
        ("", "is empty"),
        ("path,label\nnowhere.jpg,ants\nno.jpg,bees\n", "--images FOLDER"),
        ("path,label\n0.jpg,ants\n", "one class only"),
    ],
)
def test_wrong_csv(tmp_path, jpeg, text, said):
    jpeg(tmp_path / "0.jpg", 0)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        open_images(str(tmp_path / "labels.csv"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("00000.jpg ants", r"train\.txt, line 9: a line must be"),
        ("00000.jpg", "line 9: a line must be"),
        ("00000.jpg -1", "line 9: a line must be"),
    ],
)
def test_wrong_line_in_a_list(tmp_path, ip102, line, said):
    ip102(tmp_path)
    with (tmp_path / "train.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=said):
        open_images(str(tmp_path))


def test_list_that_is_not_utf8(tmp_path, ip102):
    ip102(tmp_path)
    with (tmp_path / "val.txt").open("ab") as file:
        file.write(b"k\xe4fer.jpg 1\n")
    with pytest.raises(DataError, match=r"val\.txt, line 9: this is not UTF-8"):
        open_images(str(tmp_path))


def test_listed_images_that_are_not_there_are_left_out_and_counted(tmp_path, ip102):
    ip102(tmp_path)
    (tmp_path / "images" / "00003.jpg").unlink()
    index = open_images(str(tmp_path))
    assert [(one.path, one.reason) for one in index.excluded] == [("00003.jpg", "not there")]
    assert any("1 file left out: 1 not there" in note for note in index.notes)


def test_an_image_listed_twice_counts_once(tmp_path, ip102):
    ip102(tmp_path)
    with (tmp_path / "test.txt").open("a") as file:
        file.write("00000.jpg 3\n")
    index = open_images(str(tmp_path))
    assert len(index) == 24
    assert index.excluded[0].path == "00000.jpg" and "second time" in index.excluded[0].reason


def test_an_image_listed_in_two_splits_stays_where_it_judges(tmp_path, ip102):
    ip102(tmp_path)
    before = open_images(str(tmp_path)).counts("test").sum()
    with (tmp_path / "test.txt").open("a") as file:
        file.write("00000.jpg 3\n00009.jpg 1\n")
    with (tmp_path / "train.txt").open("a") as file:
        file.write("00009.jpg 2\n")
    index = open_images(str(tmp_path))
    rows = {row["path"]: (row["split"], row["label"]) for row in index.table.to_pylist()}
    assert rows["00000.jpg"] == ("test", 3)
    assert rows["00009.jpg"] == ("test", 1)
    assert index.counts("test").sum() == before + 2
    assert any(note.startswith("2 files are named a second time with another class or split: the "
                               "naming in test is kept") for note in index.notes)  # fmt: skip


def test_class_in_test_only_is_said(tmp_path, class_folders):
    class_folders(tmp_path / "train", {"ants": 4, "bees": 4}, 0)
    class_folders(tmp_path / "test", {"ants": 2, "wasps": 2}, 100)
    index = open_images(str(tmp_path))
    assert index.classes == ("ants", "bees", "wasps")
    assert any("wasps" in note and "can't be learnt" in note for note in index.notes)


def test_files_of_systems_and_other_kinds_are_passed_over(tmp_path, class_folders):
    class_folders(tmp_path, {"ants": 3, "bees": 3})
    for name in ("Thumbs.db", ".DS_Store", "._000.jpg", "desktop.ini"):
        (tmp_path / "ants" / name).write_bytes(b"x")
    (tmp_path / "__MACOSX" / "ants").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "ants" / "a.jpg").write_bytes(b"x")
    index = open_images(str(tmp_path))
    assert len(index) == 6 and index.excluded == ()
    (tmp_path / "ants" / "readme.txt").write_text("x")
    assert any("(.txt)" in note for note in open_images(str(tmp_path)).notes)


def test_names_without_a_suffix_are_images_by_their_first_bytes(
    tmp_path, class_folders, jpeg_bytes
):
    class_folders(tmp_path, {"ants": 3, "bees": 3})
    (tmp_path / "ants" / "00017").write_bytes(jpeg_bytes)
    for name in ("README", "ants/LICENSE", "bees/SHA256SUMS"):
        (tmp_path / name).write_text("no image at all")
    (tmp_path / "bees" / "_SUCCESS").write_bytes(b"")
    index = open_images(str(tmp_path), test_share=0, val_share=0)
    assert len(index) == 7 and index.excluded == ()
    assert label_of(index, "ants/00017") == "ants"
    assert "No images, and passed over: 4 files (no suffix)." in index.notes


def test_what_has_no_suffix_and_can_not_be_read_is_named(tmp_path, class_folders):
    class_folders(tmp_path, {"ants": 3, "bees": 3})
    (tmp_path / "ants" / "00017").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "bees" / "pipe")
    reasons = {one.path: one.reason for one in open_images(str(tmp_path)).excluded}
    assert reasons == {"ants/00017": "not there", "bees/pipe": "not a file"}


def test_classes_below_one_folder_among_others(tmp_path, class_folders):
    class_folders(tmp_path / "images", {"ants": 3, "bees": 3})
    (tmp_path / "docs").mkdir()
    assert open_images(str(tmp_path)).classes == ("ants", "bees")


def test_a_table_whose_images_are_elsewhere(tmp_path, jpeg):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "all.csv").write_text("file,species\n0.jpg,ants\n1.jpg,bees\n")
    for number in range(2):
        jpeg(tmp_path / "photos" / f"{number}.jpg", number)
    with pytest.raises(DataError, match=r"table all\.csv.*--images FOLDER"):
        open_images(str(tmp_path / "set"))
    assert len(open_images(str(tmp_path / "set"), images=tmp_path / "photos")) == 2


def test_of_two_tables_one_must_be_named(tmp_path, jpeg):
    for number in range(4):
        jpeg(tmp_path / f"{number}.jpg", number)
    for name in ("labels", "older"):
        (tmp_path / f"{name}.csv").write_text(
            "file,species\n0.jpg,ants\n1.jpg,bees\n2.jpg,ants\n3.jpg,bees\n"
        )
    with pytest.raises(DataError) as refusal:
        open_images(str(tmp_path))
    assert str(refusal.value) == (
        f"{tmp_path} holds 2 tables (labels.csv, older.csv): name the one that is meant, for "
        f"example --data {tmp_path / 'labels.csv'}."
    )
    assert len(open_images(str(tmp_path / "labels.csv"))) == 4


def test_an_images_folder_that_is_not_needed_is_said(tmp_path, class_folders):
    class_folders(tmp_path / "set", {"ants": 3, "bees": 3})
    (tmp_path / "other").mkdir()
    index = open_images(str(tmp_path / "set"), images=tmp_path / "other")
    assert any("other was not used" in note for note in index.notes)


def test_numbers_without_names_are_said(tmp_path, class_folders):
    index = open_images(str(class_folders(tmp_path / "set", {"0": 4, "1": 4})))
    assert any("a classes.txt beside them" in note for note in index.notes)


def test_a_name_that_is_not_utf8_is_left_out(tmp_path, class_folders):
    class_folders(tmp_path, {"ants": 3, "bees": 3})
    strange = os.fsencode(tmp_path / "ants") + b"/k\xe4fer.jpg"
    (tmp_path / "ants" / "000.jpg").rename(os.fsdecode(strange))
    index = open_images(str(tmp_path))
    assert len(index) == 5
    assert index.excluded[0].reason == "its name is not UTF-8"
    assert index.excluded[0].path == "ants/k\\udce4fer.jpg"


def test_links_that_lead_in_circles(tmp_path, class_folders):
    class_folders(tmp_path, {"ants": 3, "bees": 3})
    (tmp_path / "ants" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(open_images(str(tmp_path))) == 6


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: None, "no images"),
        (lambda root: (root / "a.zip").write_bytes(b"x"), "no images"),
    ],
)
def test_nothing_there(tmp_path, make, said):
    make(tmp_path)
    with pytest.raises(DataError, match=said):
        open_images(str(tmp_path))


def test_one_class_only(tmp_path, class_folders):
    class_folders(tmp_path / "set", {"ants": 3})
    with pytest.raises(DataError, match="one class only"):
        open_images(str(tmp_path / "set"))


def test_images_without_classes(tmp_path, jpeg):
    jpeg(tmp_path / "a.jpg", 0)
    jpeg(tmp_path / "b.jpg", 1)
    with pytest.raises(DataError, match="no known layout"):
        open_images(str(tmp_path))


def test_all_images_unreadable(tmp_path):
    for name in ("ants", "bees"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.jpg").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"no readable image \(2 not an image\)"):
        open_images(str(tmp_path))


def test_class_of_which_no_image_is_readable_is_left_out(tmp_path, class_folders):
    class_folders(tmp_path, {"ants": 3, "bees": 3})
    (tmp_path / "crickets").mkdir()
    (tmp_path / "crickets" / "0.jpg").write_bytes(b"")
    index = open_images(str(tmp_path))
    assert index.classes == ("ants", "bees")
    assert any("crickets" in note for note in index.notes)


def test_every_layout_refuses_an_empty_folder(tmp_path: Path):
    for _, recognise in LAYOUTS:
        assert recognise(tmp_path, None) is None


def test_class_of_paths():
    paths = ["a/1.jpg", "a/b/2.jpg", "c/d/3.jpg", "c/d/e/4.jpg"]
    assert class_of_paths(paths) == {
        "a/1.jpg": "a",
        "a/b/2.jpg": "a",
        "c/d/3.jpg": "c/d",
        "c/d/e/4.jpg": "c/d",
    }


def test_a_class_is_the_same_folder_in_every_split_however_deep(tmp_path, jpeg):
    for number, path in enumerate(["train/ants/2023", "train/bees", "val/ants", "val/bees"]):
        for copy in range(2):
            jpeg(tmp_path / path / f"{copy}.jpg", 10 * number + copy)
    index = open_images(str(tmp_path), test_share=0)
    assert index.classes == ("ants", "bees")
    assert index.counts("train").tolist() == index.counts("val").tolist() == [2, 2]
