"""Each data set of the corpus is read, with what is left out named, or refused in a sentence."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lacewing.cli import main
from lacewing.data.audit.read import read_images
from lacewing.data.audit.run import audit
from lacewing.data.open import open_images
from lacewing.deploy.predict import load_predictor
from lacewing.errors import DataError

from .sets import FOLDERS, folder_with_a_device, folder_with_a_pipe, folder_with_a_socket, folders
from .sets_listed import LISTED

MAKERS = (*FOLDERS, *LISTED)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its names and files are others")


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def case(request, tmp_path):
    (tmp_path / "set").mkdir()
    return request.param(tmp_path / "set")


def test_it_is_read_or_refused(case, tmp_path):
    expected = case.expected
    if not expected.used:
        with pytest.raises(DataError) as refusal:
            open_images(case.data, cache_dir=tmp_path / "cache")
        assert expected.said in str(refusal.value)
        return
    index = open_images(case.data, cache_dir=tmp_path / "cache")
    assert len(index) == expected.used
    reasons = {one.path: one.reason for one in index.excluded}
    assert reasons.keys() == expected.left_out.keys()
    assert all(reasons[path].startswith(reason) for path, reason in expected.left_out.items())
    assert expected.said in "\n".join(index.notes)
    json.dumps(index.summary(), ensure_ascii=False).encode()
    index.save(tmp_path / "index")


def test_the_audit_of_it_ends_well(case, tmp_path):
    try:
        images = read_images(case.data, cache_dir=tmp_path / "cache")
    except DataError as refusal:
        assert str(refusal).endswith(".")
        return
    report = audit(images)
    json.dumps(report.as_dict(), ensure_ascii=False).encode()


def test_nothing_is_written_outside(tmp_path):
    for make in MAKERS:
        root = tmp_path / make.__name__ / "set"
        root.mkdir(parents=True)
        case = make(root)
        before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(root)}
        with contextlib.suppress(DataError):
            open_images(case.data, cache_dir=root / "cache")
        assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(root)} == before
    assert not Path("/tmp/lacewing-out.png").exists()


@pytest.mark.slow
def test_100_000_files_of_one_class(tmp_path):
    """Hard links, so that they take no room; most are of empty files, which are soon read."""
    root = folders(tmp_path / "set", ants=2, bees=2)
    for name in ("a", "b"):  # a file has at most 65,000 links
        (tmp_path / name).touch()
    for number in range(100_000):
        target = root / "ants" / "0.png" if number % 50 == 0 else tmp_path / "ab"[number % 2]
        os.link(target, root / "bees" / f"link{number}.png")
    found = open_images(root, cache_dir=tmp_path / "cache")
    assert len(found) == 2_004
    assert len(found.excluded) == 98_000
    assert {one.reason for one in found.excluded} == {"empty file"}
    assert sum(int(found.counts(split)[1]) for split in ("train", "val", "test")) == 2_002


NOBODY = """
import os, sys
from pathlib import Path
from PIL import Image
from lacewing.data.open import open_images
Image.init()  # its modules may lie where that user can't read
os.setgid(65534), os.setuid(65534)
index = open_images(sys.argv[1], cache_dir=Path("/nonexistent/cache"))
print([(one.path, one.reason) for one in index.excluded])
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="only root can be another")
def test_no_permission():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        root = folders(Path(folder) / "set", ants=4, bees=4)
        Path(folder).chmod(0o755)
        (root / "ants" / "0.png").chmod(0)
        command = [sys.executable, "-c", NOBODY, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "[('ants/0.png', 'no permission to read it')]" in done.stdout, done.stderr
        (root / "bees").chmod(0)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert f"DataError: The folder {root}/bees can't be read" in done.stderr


REFUSED = [make for make in MAKERS if make.__name__.split("_")[0] in ("tar", "csv", "empty")]


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_the_command_says_it_in_one_sentence(make, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))
    (tmp_path / "set").mkdir()
    case = make(tmp_path / "set")
    code = main(["data", "check", str(case.data)])
    last = capsys.readouterr().err.splitlines()[-1]
    if case.expected.used:
        assert code in (0, 2)  # 2 where it found something to be wrong
        return
    assert code == 2
    assert last.startswith("error: ")
    assert case.expected.said in last


def test_what_is_no_file_is_not_waited_for(finished_run, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    for make in (folder_with_a_pipe, folder_with_a_socket, folder_with_a_device):
        make(root)
        (root / "ants").rename(root / make.__name__)
    paths = [
        root / "folder_with_a_pipe" / "pipe.png", root / "bees" / "socket.png",
        root / "folder_with_a_device" / "zero.png", root,
    ]  # fmt: skip
    told = load_predictor(finished_run.folder, "cpu").predict(paths)
    assert [bool(one.error) for one in told] == [True] * 4
