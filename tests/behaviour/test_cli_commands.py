"""The commands that use a model, look something up, or draw the sample."""

import csv
import json
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch import nn

from lacewing.data.open import open_images
from lacewing.data.preprocess import Preprocessing
from lacewing.deploy import predict
from lacewing.deploy.predict import Predictor
from lacewing.hardware.cpu import CpuBackend
from lacewing.hardware.machine import Machine
from lacewing.store.run import Run, append_line
from lacewing.training.events import this_process

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class NamesColours(nn.Module):
    """Logits [N, 3]: ten times the mean of each channel of [N, 3, S, S]."""

    def forward(self, images):
        return 10 * images.mean((2, 3))


@pytest.fixture
def field(tmp_path, monkeypatch):
    """A folder with a photo of each colour, and a model `r` that names the colour."""

    def load(path, device="auto"):
        assert (path, device) == (Path("r"), None)
        return Predictor(
            model=NamesColours(),
            classes=tuple(COLOURS),
            preprocessing=Preprocessing(image_size=8, mean=(0.0,) * 3, std=(1.0,) * 3),
            backend=CpuBackend(),
        )

    monkeypatch.setattr(predict, "load_predictor", load)
    (tmp_path / "r").mkdir()
    folder = tmp_path / "field"
    folder.mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (12, 16), colour).save(folder / f"{name}.png")
    return folder


def rows_of(file):
    return list(csv.DictReader(Path(file).read_text().splitlines()))


def test_predict_shows_a_line_per_photo(run, field):
    ended = run("predict", "r", "field")
    assert ended.code == 0
    rows = [line.split() for line in ended.out.splitlines()]
    assert rows[0] == ["file", "class", "confidence", "next"]
    assert rows[4][:2] == ["3", "images"]
    assert [row[:2] for row in rows[1:4]] == [
        [f"field/{name}.png", name] for name in ("blue", "green", "red")
    ]


def test_predict_writes_csv_and_json(run, field):
    assert run("predict", "r", "field/*.png", "-o", "out.csv", "--top-k", "2").code == 0
    rows = rows_of("out.csv")
    assert [row["class"] for row in rows] == ["blue", "green", "red"]
    assert list(rows[0]) == ["path", "class", "confidence", "class_2", "confidence_2",
                             "none_of_these", "error"]  # fmt: skip
    assert run("predict", "r", "field/red.png", "-o", "out.json").code == 0
    (one,) = json.loads(Path("out.json").read_text())
    assert (one["path"], one["class"], len(one["top"])) == ("field/red.png", "red", 3)
    assert run("predict", "r", "field/red.png", "-o", "out.parquet").code == 0
    assert pq.read_table("out.parquet").column_names == list(one)


def test_predict_says_how_fast_it_was_and_where_it_doubts(run, field):
    ended = run("predict", "r", "field", "--none-below", "1")
    assert re.search(r"3 images in [0-9.]+ s: [0-9,]+ images/s\. 3 may show none", ended.out)
    assert ended.out.count("none of these") == 3
    assert "none of these" not in run("predict", "r", "field", "--none-below", "0").out


def test_a_broken_photo_among_others_is_a_row_and_a_warning(run, field):
    (field / "broken.jpg").write_bytes(b"no image")
    ended = run("predict", "r", "field", "-o", "out.csv")
    assert ended.code == 0
    assert "warning: 1 of 4 files could not be read." in ended.err
    assert [bool(row["error"]) for row in rows_of("out.csv")] == [*(False, True, False, False)]


def test_nothing_but_broken_photos_exits_with_1(run, field):
    (field / "broken.jpg").write_bytes(b"no image")
    ended = run("predict", "r", "field/broken.jpg")
    assert ended.code == 1
    assert "warning: 1 of 1 files could not be read." in ended.err


def begun(folder, **fields):
    """A run folder whose event log says that this process trains there."""
    run_folder = Run(folder)
    folder.mkdir()
    run_folder.config.write_text("data: photos\nmodel: resnet18\nepochs: 3\n")
    append_line(run_folder.metrics, {"epoch": 1, "train_loss": 0.5, "val_accuracy": 0.8})
    start = {"kind": "start", "message": "training begins", **this_process(), **fields}
    append_line(run_folder.events, {"time": now(), **start})
    return run_folder


def now():
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def test_watch_looks_once(run, tmp_path):
    watched = begun(tmp_path / "w")
    ended = run("watch", "w", "--once")
    assert ended.code == 0
    assert "resnet18 on photos: running, 1 of 3 epochs done" in ended.out
    assert "epoch   1  loss 0.500  val accuracy  80.0%" in ended.out
    state = json.loads(run("watch", "w", "--once", "--json").out)
    assert (state["state"], state["epochs"], state["asked"]) == ("running", 1, 3)
    append_line(watched.events, {"time": now(), "kind": "interrupted", "message": "by Ctrl-C"})
    assert run("watch", "w", "--once").code == 130


def test_watch_says_what_it_cannot_watch(run):
    ended = run("watch", "nowhere", "--once")
    assert ended.code == 2 and "There is no run folder nowhere" in ended.err
    ended = run("watch", "nowhere", "--json")
    assert ended.code == 2 and "add --once" in ended.err


def test_watch_follows_a_run_that_begins_later_to_its_end(run, tmp_path):
    def train():
        watched = begun(tmp_path / "later")
        for epoch in (2, 3):
            time.sleep(0.05)
            append_line(watched.metrics, {"epoch": epoch, "val_accuracy": 0.8 + epoch / 100})
        append_line(watched.events, {"time": now(), "kind": "finished", "message": "done"})

    with ThreadPoolExecutor() as threads:
        threads.submit(train)
        ended = run("watch", "later", "--every", "0.02")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == ["1", "2", "3"]
    assert "resnet18 on photos: finished, 3 of 3 epochs done" in lines


def test_watch_sees_a_run_that_died(run, tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    begun(tmp_path / "dead", process=process.pid)
    ended = run("watch", "dead")
    assert ended.code == 1
    assert "resnet18 on photos: died, 1 of 3 epochs done" in ended.out


def test_many_predictions_are_not_all_shown(run, field):
    for number in range(30):
        shutil.copy(field / "red.png", field / f"{number}.png")
    ended = run("predict", "r", "field")
    assert "note: 13 more; -o FILE.csv writes all of them." in ended.out
    assert sum("red" in line.split() for line in ended.out.splitlines()) == 20


def test_models_lists_the_classic_ones(run):
    ended = run("models")
    assert ended.code == 0
    assert ended.out.split()[:4] == ["name", "architecture", "parameters", "weights"]
    for name in ("resnet", "efficientnet_lite0", "residual-attention", "fpn", "inception"):
        assert f"\n{name} " in ended.out
    assert "25.6 M" in ended.out


def test_models_takes_a_pattern_and_prints_json(run):
    rows = json.loads(run("models", "resnet1*", "--json").out)
    assert {"resnet18", "resnet101"} <= {row["name"] for row in rows}
    assert all(row["name"].startswith("resnet1") for row in rows)
    assert set(rows[0]) == {"name", "architecture", "library", "parameters", "weights"}


def test_models_that_are_none(run):
    ended = run("models", "xyzzy")
    assert (ended.code, ended.out) == (0, "No network is called like 'xyzzy'.\n")


def test_doctor_shows_this_machine_and_what_it_is_good_for(run):
    ended = run("doctor")
    assert ended.code == 0
    for row in ("processor", "cores", "memory", "disk", "torch"):
        assert f"\n{row} " in ended.out
    assert ended.out.rstrip().endswith(".")


def test_doctor_prints_the_machine_as_json(run):
    machine = Machine.from_dict(json.loads(run("doctor", "--json").out))
    assert machine.devices[-1].kind == "cpu"


def test_sample_draws_a_data_set(run, tmp_path):
    words = ("--classes", "2", "--images-per-class", "6", "--seed", "3")
    assert run("sample", "s", *words).code == 0
    index = open_images(tmp_path / "s")
    assert len(index.classes) == 2
    assert len(index) == 12
    assert run("sample", "ip", "--layout", "ip102", *words).code == 0
    assert len(open_images(tmp_path / "ip")) == 12


def test_the_classic_program_runs_from_a_clone_without_lacewing_installed(tmp_path):
    project = Path(__file__).parents[2]
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copy(project / "Trainmain.py", clone)
    shutil.copytree(project / "src", clone / "src", ignore=shutil.ignore_patterns("__pycache__"))
    # -S leaves out site-packages, and with them the installed lacewing; its packages stay
    code = (
        "import sys, runpy\n"
        f"sys.path += {[str(path) for path in packages_without_lacewing(tmp_path)]!r}\n"
        "sys.argv = ['Trainmain.py', '-epp', '3']\n"
        "try: runpy.run_path('Trainmain.py', run_name='__main__')\n"
        "finally: print(sys.modules['lacewing'].__file__)"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=clone, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert Path(ended.stdout.strip()) == clone / "src" / "lacewing" / "__init__.py"
    assert ended.stderr.startswith("error: There is no flag -epp")


def test_the_classic_program_names_a_package_that_is_missing(tmp_path):
    program = Path(__file__).parents[2] / "Trainmain.py"
    ended = subprocess.run(
        [sys.executable, "-S", str(program), "-data", "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: the package ")
    assert "run `pip install " in ended.stderr


def packages_without_lacewing(folder):
    """A folder with links to the installed packages but lacewing's own."""
    import yaml

    installed = Path(yaml.__file__).parents[1]
    links = folder / "packages"
    links.mkdir()
    for entry in installed.iterdir():
        if "lacewing" not in entry.name:
            (links / entry.name).symlink_to(entry)
    return [links]
