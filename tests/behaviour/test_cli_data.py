"""`lacewing data check` and `lacewing cache`, as they are typed."""

import json
import shutil
import signal

import pytest


@pytest.fixture
def split_photos(tmp_path, photo):
    """Two classes, twelve images for training and three for testing; all sound."""
    root, seed = tmp_path / "field", 0
    for split, count in (("train", 12), ("test", 3)):
        for name in ("ants", "bees"):
            for number in range(count):
                photo(root / split / name / f"{number}.jpg", seed, side=64)
                seed += 1
    return root


def test_sound_data_ends_with_0(run, split_photos):
    ended = run("data", "check", split_photos)
    assert ended.code == 0
    assert "train 24, test 6 images of 2 classes" in ended.out
    assert "Nothing was found to be wrong." in ended.out
    assert "reading the images: 30/30" in ended.err
    assert "comparing pictures and formats: 30/30" in ended.err


def test_a_warning_ends_with_0(run, photos):
    ended = run("data", "check", photos)
    assert ended.code == 0
    assert "warning: 24 files are under 64 pixels on the shorter side." in ended.out


def test_what_was_not_compared_is_not_called_sound(run, split_photos, monkeypatch):
    monkeypatch.setattr("lacewing.data.audit.pictures.LARGEST", 1)
    content = (split_photos / "train/ants/0.jpg").read_bytes()
    (split_photos / "test/ants/copy.jpg").write_bytes(content + b"\0")
    ended = run("data", "check", split_photos)
    assert ended.code == 0
    assert (
        "warning: 2 pictures in train and test are too much alike to be compared: only equal files "
        "were found. (test/ants/copy.jpg, train/ants/0.jpg)" in ended.out
    )
    assert "Nothing was found" not in ended.out


def test_the_end_of_a_job_ends_a_check_as_ctrl_c_does(run, split_photos, monkeypatch):
    def end(*_, **__):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("lacewing.data.audit.read.read_images", end)
    ended = run("data", "check", split_photos)
    assert ended.code == 130
    assert "Interrupted." in ended.err


def test_errors_end_with_2_and_are_shown(run, split_photos):
    shutil.copy(split_photos / "train/ants/0.jpg", split_photos / "test/ants/copy.jpg")
    ended = run("data", "check", split_photos)
    assert ended.code == 2
    assert "The same picture in two splits" in ended.out
    assert (
        "error: 2 equal files lie in train and test. (test/ants/copy.jpg, train/ants/0.jpg)"
        in ended.out
    )


def test_of_many_findings_a_few_of_each_kind_are_shown(run, split_photos):
    for number in range(4):
        shutil.copy(split_photos / f"train/ants/{number}.jpg", split_photos / "test/ants/"
                    f"copy{number}.jpg")  # fmt: skip
    (split_photos / "train/bees/0.jpg").write_bytes(b"")
    ended = run("data", "check", split_photos)
    assert ended.out.count("error: 2 equal files lie in train and test.") == 3
    assert "error: 1 file can't be read: empty file. (train/bees/0.jpg)" in ended.out
    assert "1 more; -o FILE.html shows them." in ended.out


def test_json_is_the_only_thing_on_stdout(run, split_photos):
    shutil.copy(split_photos / "train/ants/0.jpg", split_photos / "train/bees/copy.jpg")
    ended = run("data", "check", split_photos, "--json")
    assert ended.code == 2
    told = json.loads(ended.out)
    assert told["images"] == {"train": 25, "test": 6}
    assert (told["errors"], told["warnings"]) == (1, 0)
    assert told["findings"] == [
        {
            "kind": "conflict",
            "sentence": "2 equal files are labelled ants and bees.",
            "files": ["train/ants/0.jpg", "train/bees/copy.jpg"],
            "severity": "error",
        }
    ]


def test_the_page_and_the_cleaned_list(run, split_photos, tmp_path):
    shutil.copy(split_photos / "train/ants/0.jpg", split_photos / "test/ants/copy.jpg")
    ended = run("data", "check", split_photos, "-o", "audit.html", "--fix", "clean.csv")
    assert ended.code == 2
    assert "The page is audit.html." in ended.out
    assert "The cleaned list is clean.csv; 1 file was left out" in ended.out
    assert "<img" in (tmp_path / "audit.html").read_text()
    again = run("data", "check", "clean.csv")
    assert again.code == 0
    assert "train 23, test 7 images" in again.out


def test_the_page_replaces_nothing_but_pages(run, split_photos, tmp_path):
    for name in ("a.HTM", "a.html"):
        (tmp_path / name).write_text("an earlier page")
        assert run("data", "check", split_photos, "-o", name).code == 0
        assert "an earlier page" not in (tmp_path / name).read_text()
    photo = split_photos / "train/ants/0.jpg"
    before = photo.read_bytes()
    assert run("data", "check", split_photos, "-o", photo).code == 2
    assert photo.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("check", "nowhere/at/all"), "There is no folder or file nowhere/at/all."),
        (("check",), "PATH is missing: A folder of images, a .csv, a .tar, or a data set's name."),
        (("look", "field"), "--action must be one of check, but it was 'look'."),
        (("check", "field", "--fix", "clean.txt"), "--fix writes a .csv, but it was 'clean.txt'."),
        (("check", "field", "-o", "field/photo.jpg"),
         "-o writes a page, an .html, but it was 'field/photo.jpg'."),
        (("check", "field", "-o", "one.csv", "--fix", "one.csv"),
         "-o writes a page, an .html, but it was 'one.csv'."),
        (("check", "field", "-o", "no/such/audit.html"),
         "-o: there is no folder no/such to write audit.html into."),
        (("check", "field", "--fix", "no/such/a.csv"),
         "--fix: there is no folder no/such to write a.csv into."),
        (("check", "field", "--fix", "field"), "--fix writes a .csv, but it was 'field'."),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said_before_any_work(run, split_photos, words, sentence):
    ended = run("data", *words)
    assert ended.code == 2
    assert ended.error == sentence


def test_a_list_never_replaces_what_is_checked(run, split_photos, tmp_path):
    run("data", "check", split_photos, "--fix", "list.csv")
    before = (tmp_path / "list.csv").read_bytes()
    for data in ("list.csv", "list", tmp_path / "list.csv"):
        ended = run("data", "check", data, "--fix", "list.csv")
        assert ended.code == 2
        assert ended.error == ("--fix would replace list.csv, which is checked: name another file.")
    assert (tmp_path / "list.csv").read_bytes() == before


def test_a_list_is_not_written_where_it_would_be_taken_for_the_folders_table(
    run, split_photos, tmp_path, monkeypatch
):
    monkeypatch.chdir(split_photos)
    ended = run("data", "check", ".", "--fix", "clean.csv")
    assert ended.code == 2
    assert ended.error == (
        "--fix: clean.csv would lie in the folder that is checked and be taken for its table: "
        f"write it beside that folder, for example to {(tmp_path / 'clean.csv').resolve()}."
    )
    assert run("data", "check", ".", "--fix", "../clean.csv").code == 0


def test_a_list_replaces_older_ones_but_no_other_table(run, split_photos, tmp_path):
    for _ in "12":
        assert run("data", "check", split_photos, "--fix", "clean.csv").code == 0
    for content in ("day,weather\n1,wet\n", "path;label\n0.jpg;ants\n"):
        (tmp_path / "own.csv").write_text(content)
        ended = run("data", "check", split_photos, "--fix", "own.csv")
        assert ended.error == (
            "--fix would replace own.csv, which is no list that lacewing wrote: name another file."
        )
        assert (tmp_path / "own.csv").read_text() == content


def test_what_a_link_in_the_cache_led_to_is_told(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache/pixels").symlink_to(tmp_path / "elsewhere")
    assert "was a link and is removed" in run("cache", "clear", "pixels").out


def test_the_cache_is_told_and_cleared(run, split_photos, tmp_path):
    run("data", "check", split_photos)
    told = json.loads(run("cache", "info", "--json").out)
    assert told["folder"] == str(tmp_path / ".cache")
    assert {one["kind"] for one in told["contents"] if one["files"]} == {"scans"}
    assert "decoded images, so that they are decoded once" in run("cache", "info").out
    assert run("cache", "clear", "pixels").out.startswith("Cleared pixels in ")
    assert (tmp_path / ".cache/scans").exists()
    ended = run("cache", "clear")
    assert (ended.code, ended.out.startswith("Cleared everything in ")) == (0, True)
    assert not (tmp_path / ".cache/scans").exists()


def test_a_kind_that_is_not_kept(run):
    ended = run("cache", "clear", "photos")
    assert ended.code == 2
    assert "must be one of scans, lists, pixels, unpacked, remote, sample" in ended.error
