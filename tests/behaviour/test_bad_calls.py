"""Wrong calls and broken data sets: each gets its exit code and one sentence."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lacewing.config import TrainConfig, save_config


@dataclass(frozen=True)
class Bad:
    """A call that can't be carried out, with a part of what is said about it."""

    line: str
    says: str
    make: Callable[[Path, Callable[..., Path]], None] = lambda folder, photo: None
    """Fills the current folder first."""


FLAGS = [
    Bad("train", "--data (-data) is missing"),
    Bad("train --bogus 3", "There is no flag --bogus"),
    Bad("train -lrr 0.1", "There is no flag -lrr; did you mean -lr"),
    Bad("train photos", "'photos' belongs to no flag"),
    Bad("train -data", "-data needs a value (NAME|PATH)"),
    Bad("train -data photos -lr", "-lr needs a value (NUMBER|auto)"),
    Bad(
        "train -data photos -lr fast",
        "--learning-rate must be a number above 0, or auto, but it was",
    ),
    Bad("train -data photos -lr 0", "--learning-rate must be a number above 0"),
    Bad(
        "train -data photos -lr -1",
        "--learning-rate must be a number above 0, or auto, but it was '-1'",
    ),
    Bad("train -data photos -lr nan", "--learning-rate must be a number above 0"),
    Bad("train -data photos -bz 0", "--batch-size must be a whole number of at least 1"),
    Bad("train -data photos -bz 2.5", "--batch-size must be a whole number"),
    Bad("train -data photos -ep 0", "--epochs must be a whole number of at least 1"),
    Bad("train -data photos -ep many", "--epochs must be a whole number"),
    Bad("train -data photos -do 1", "--dropout must be a number at least 0 and below 1"),
    Bad("train -data photos -l2 -0.1", "--weight-decay must be a number at least 0"),
    Bad("train -data photos -predt maybe", "--pretrained must be True or False"),
    Bad("train -data photos -sch step", "--scheduler must be one of none, steplr"),
    Bad("train -data photos -optim adm", "There is no optimiser 'adm'; did you mean adam"),
    Bad("train -data photos -dv gpu", "There is no kind of device called 'gpu'"),
    Bad("train -data photos -dv cuda:x", "needs a number after the colon"),
    Bad(
        "train -data photos -mn resnet5",
        "There is no network called 'resnet5'; did you mean resnet",
    ),
    Bad("train -data photos --image-size 8", "--image-size must be a whole number of at least 16"),
    Bad("train -data photos --precision fp8", "--precision must be one of fp32"),
    Bad("train -data photos --memory-share 2", "--memory-share must be a number above 0"),
    Bad("train -data photos --val-share 0.6 --test-share 0.5", "their sum must be below 1"),
    Bad("train -data photos --nesterov", "--nesterov is a kind of SGD's momentum"),
    Bad("train -data photos --warmup-epochs 9 -ep 3", "--warmup-epochs 9 must be below --epochs 3"),
    Bad("train -istra no -data photos", "say which one with --load-model"),
    Bad("train -istra no -iseva no", "nothing is left to do"),
    Bad("train -data photos -isloadck -isloadmd", "give one of them"),
    Bad("train -data photos -isloadck", "name the run folder instead of True"),
    Bad("train --config nowhere.yaml", "There is no configuration file nowhere.yaml"),
    Bad("train -data photos --plan nowhere.yaml", "There is no plan file nowhere.yaml"),
    Bad("train -data photos --tiers nowhere.toml", "There is no tier file nowhere.toml."),
    Bad("train -data photos --weights nowhere.pth", "There are no weights at nowhere.pth."),
    Bad("train -data photos -isloadmd nowhere", "There are no weights at nowhere."),
    Bad("plan -data photos -o no/plan.yaml", "--out: there is no folder no to write plan.yaml"),
    Bad("plan -data photos -o .", "--out names a file, but . is a folder"),
    Bad("plan -o", "-o needs a value (FILE)"),
]

WORDS = [
    Bad("tarin", "There is no command 'tarin'; did you mean train?"),
    Bad("xyzzy", "There is no command 'xyzzy': use one of train, plan, resume"),
    Bad("-data photos", "The command must stand before -data, as in `lacewing train -data"),
    Bad("--fast", "The command must stand before --fast"),
    Bad("resume", "RUN is missing: The run folder."),
    Bad("resume a b", "'b' is one word too many; see --help."),
    Bad("resume nowhere", "There is no run folder nowhere."),
    Bad("resume .", ". is not a run folder: it has no config.yaml."),
    Bad("report nowhere", "There is no run folder nowhere."),
    Bad("evaluate nowhere", "There is no run folder nowhere."),
    Bad("evaluate", "RUN is missing"),
    Bad("predict", "RUN is missing"),
    Bad("predict a", "PATH is missing"),
    Bad("predict a nowhere.jpg", "There is no file or folder nowhere.jpg."),
    Bad("predict a *.jpg", "There is no image in *.jpg."),
    Bad(
        "predict a . -o out.txt",
        "--out must end in one of .csv, .json, .parquet, but it was out.txt.",
    ),
    Bad("predict a . -o no/out.csv", "--out: there is no folder no"),
    Bad("predict a . --top-k 0", "--top-k must be a whole number of at least 1"),
    Bad("predict a . --top 3", "There is no flag --top; did you mean --top-k"),
    Bad("models --jsn", "There is no flag --jsn; did you mean --json?"),
    Bad("models a b", "'b' is one word too many; see --help."),
    Bad("doctor now", "'now' belongs to no flag: see --help."),
    Bad("sample", "FOLDER is missing"),
    Bad("sample new --classes 1", "--classes must be a whole number of at least 2"),
    Bad("sample new --classes many", "--classes must be a whole number"),
    Bad("sample new --layout csv", "--layout must be one of folders, ip102"),
    Bad("demo -ep 0", "--epochs must be a whole number of at least 1"),
]


def one_class(folder, photo):
    for seed in range(3):
        photo(folder / "d" / "ants" / f"{seed}.jpg", seed)


def broken_images(folder, photo):
    for name in ("ants/a.jpg", "bees/b.jpg"):
        (folder / "d" / name).parent.mkdir(parents=True)
        (folder / "d" / name).write_bytes(b"no image")


def texts(files):
    """A maker of text files, beside one photo d/images/a.jpg."""

    def make(folder, photo):
        photo(folder / "d" / "images" / "a.jpg")
        for name, content in files.items():
            (folder / "d" / name).write_text(content)

    return make


def file(name, content):
    def make(folder, photo):
        (folder / name).write_bytes(content)

    return make


def sound(folder, photo):
    for number in range(24):
        photo(folder / "d" / ("ants", "bees")[number % 2] / f"{number}.jpg", number)


def sound_and(name, content):
    def make(folder, photo):
        sound(folder, photo)
        (folder / name).write_text(content)

    return make


def run_without_checkpoint(folder, photo):
    (folder / "r").mkdir()
    save_config(TrainConfig(data="d"), folder / "r" / "config.yaml")


DATA = [
    Bad("nowhere", "There is no data set 'nowhere'; looked in "),
    Bad("no/where", "There is no folder or file no/where."),
    Bad("IP102", "IP102 was not found in "),
    Bad("D0", "D0 was not found in "),
    Bad("d", "There are no images in d.", lambda folder, photo: (folder / "d").mkdir()),
    Bad("d", "holds images of one class only: training needs at least two", one_class),
    Bad("d", "holds no readable image", broken_images),
    Bad("d", "train.txt, line 2: a line must be a file's name and the number",
        texts({"train.txt": "a.jpg 0\na.jpg\n"})),
    Bad("d.csv", "d.csv is empty", file("d.csv", b"")),
    Bad("d.csv", "line 2: the label is missing", file("d.csv", b"path,label\na.jpg,\n")),
    Bad("d.csv", "the split must be train, val or test, but it is 'tst'",
        file("d.csv", b"path,label,split\na.jpg,ant,tst\n")),
    Bad("d.csv", "this is not UTF-8 text", file("d.csv", b"path,label\n\xff\xfe.jpg,a\n")),
    Bad("d.tar", "d.tar is damaged", file("d.tar", b"no archive at all")),
    Bad("d.zip", "unpack it first", file("d.zip", b"PK")),
    Bad("d.jpg", "is neither a folder nor a .csv or .tar file", file("d.jpg", b"")),
    Bad("d --images nowhere", "The folder of the images, nowhere, is not there.", sound),
    Bad("d --config c.yaml", "sets an unknown field 'epoch'; did you mean epochs",
        sound_and("c.yaml", "epoch: 3\n")),
    Bad("d --config c.yaml", "c.yaml is not valid YAML (line 1)", sound_and("c.yaml", "a: [")),
    Bad("d --plan p.yaml", "p.yaml is not a plan file", sound_and("p.yaml", "epochs: 3\n")),
    Bad("d --tiers t.toml", "The tier file t.toml can't be read: Expected",
        sound_and("t.toml", "[high\n")),
    Bad("d --weights w.pth", "w.pth is no checkpoint, or a damaged one.",
        sound_and("w.pth", "no weights")),
    Bad("d --name taken --output .", "The run folder taken exists already",
        lambda folder, photo: (sound(folder, photo), (folder / "taken").mkdir())),
    Bad("d --output o", "The run folder o", sound_and("o", "a file")),
    Bad("d -mn inception --image-size 32", "inception needs images of at least 75 pixels", sound),
    Bad("d -mn resnet18 --image-size 32 -bz 1",
        "resnet18 can't be trained on one image of 32 pixels at a time: its BatchNorm would see a "
        "single value of each channel. Use -bz 2 or more, a larger --image-size, or "
        "--freeze-norms True.", sound),
    Bad("d -mn skresnet18 -bz 1", "Use -bz 2 or more, or --freeze-norms True.", sound),
]  # fmt: skip

RUNS = [
    Bad("resume r", "has no checkpoint", run_without_checkpoint),
    Bad("predict r photos", "has no model.safetensors",
        lambda folder, photo: (run_without_checkpoint(folder, photo),
                               photo(folder / "photos" / "a.jpg"))),
    Bad("predict m.safetensors a.jpg", "m.safetensors can't be read",
        lambda folder, photo: (photo(folder / "a.jpg"),
                               (folder / "m.safetensors").write_bytes(b"no weights"))),
    Bad("evaluate r", "There is no trained model at r/model.safetensors.", run_without_checkpoint),
]  # fmt: skip


def check(ended, bad):
    assert ended.code == 2, ended.text
    assert "Traceback" not in ended.text
    assert bad.says in ended.error


@pytest.mark.parametrize("bad", FLAGS + WORDS, ids=lambda bad: bad.line)
def test_a_wrong_call(run, tmp_path, bad):
    (tmp_path / "photos").mkdir()
    check(run(*bad.line.split(" ")), bad)


@pytest.mark.parametrize("bad", DATA, ids=lambda bad: f"{bad.line}: {bad.says[-30:]}")
def test_a_broken_data_set_or_file(run, photo, tmp_path, bad):
    bad.make(tmp_path, photo)
    check(run("train", "-predt", "no", "-dv", "cpu", "-data", *bad.line.split(" ")), bad)
    assert not list((tmp_path / "runs").glob("*")), "a run folder was made for nothing"


@pytest.mark.parametrize("bad", RUNS, ids=lambda bad: bad.line)
def test_a_broken_run(run, photo, tmp_path, bad):
    bad.make(tmp_path, photo)
    check(run(*bad.line.split(" ")), bad)


def test_an_image_that_cannot_be_written_over_is_left_alone(run, photo, tmp_path):
    kept = photo(tmp_path / "full" / "a.jpg")
    assert "not an empty folder" in run("sample", "full").error
    assert kept.exists()


IN_A_PROCESS = [
    (["-m", "lacewing", "tarin"], "There is no command 'tarin'"),
    (["-m", "lacewing", "train", "-lr", "x"], "--learning-rate must be a number above 0"),
    (["-m", "lacewing", "train", "-data", "nowhere"], "There is no data set 'nowhere'"),
    (["-m", "lacewing", "predict", "nowhere", "nowhere.jpg"], "There is no file or folder"),
    (["Trainmain.py", "-data", "nowhere", "-predt", "no"], "There is no data set 'nowhere'"),
    (["Trainmain.py", "-epp", "3"], "There is no flag -epp; did you mean -ep"),
]


@pytest.mark.parametrize(("words", "says"), IN_A_PROCESS, ids=lambda value: str(value)[:50])
def test_a_wrong_call_of_the_program(tmp_path, words, says):
    project = Path(__file__).parents[2]
    words = [str(project / word) if word == "Trainmain.py" else word for word in words]
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**os.environ, "LACEWING_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


NOWHERE = [
    ("train -data nowhere", "There is no data set 'nowhere'"),
    ("plan -data no/where", "There is no folder or file no/where."),
    ("resume nowhere", "There is no run folder nowhere."),
    ("evaluate nowhere", "There is no run folder nowhere."),
    ("report nowhere", "There is no run folder nowhere."),
    ("export nowhere", "There is no run folder nowhere."),
    ("serve nowhere", "There is no run folder or model file nowhere."),
    ("predict nowhere a.jpg", "There is no run folder or model file nowhere."),
]


@pytest.mark.parametrize(("line", "says"), NOWHERE, ids=[line for line, _ in NOWHERE])
def test_what_is_not_there_is_told_before_pytorch_is_loaded(tmp_path, photo, line, says):
    program = (
        "import sys; sys.modules['torch'] = None\n"  # an import of it would raise
        "from lacewing.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    photo(tmp_path / "a.jpg")
    ended = subprocess.run(
        [sys.executable, "-c", program, *line.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(f"error: {says}")
