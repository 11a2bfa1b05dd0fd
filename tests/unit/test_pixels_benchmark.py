"""What benchmarks/pixels.py measures on each kind of device, and that what it saw is not lost."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from lacewing.data.open import open_images
from lacewing.data.sample import draw_sample
from lacewing.hardware.fake import FakeBackend

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def pixels(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    # the processes of tests make their own settings
    monkeypatch.setattr("lacewing.hardware.process.ready_process", lambda: None)
    return runpy.run_path(str(BENCHMARKS / "pixels.py"))


@pytest.fixture
def photos(tmp_path):
    draw_sample(tmp_path / "photos", classes=2, images_per_class=5, size=32)
    return tmp_path / "photos"


@pytest.mark.parametrize(("device", "count"), [("cpu", 10), ("meta", 5)])
def test_a_gpu_has_half_of_the_ways(pixels, photos, tmp_path, monkeypatch, device, count):
    monkeypatch.setattr("lacewing.hardware.limits.host_cores", lambda: 4)
    index = open_images(photos, cache_dir=tmp_path).split("train")
    ways = pixels["ways_of"](index, pixels["QUICK"], torch.device(device), tmp_path)
    assert len(ways) == count
    assert any("keep device" in title for title in ways) == (device != "cpu")


def test_a_gpu_computes_in_bf16_and_a_cpu_where_it_is_known_to_pay(pixels):
    precision, gpu, cpu = pixels["precision_of"], FakeBackend("cuda"), FakeBackend("cpu")
    gpu.candidate_precisions = lambda _: ("fp32", "bf16")
    assert precision("mobilenetv2_100", gpu, 0) == "bf16"
    gpu.candidate_precisions = lambda _: ("fp32", "fp16")
    assert precision("mobilenetv2_100", gpu, 0) == "fp32"
    cpu.candidate_precisions = lambda _: ("fp32", "bf16")
    assert [precision(name, cpu, 0) for name in pixels["MODELS"]] == ["fp32", "bf16"]


def main_of(pixels, photos, monkeypatch, folder, *words):
    """The program with its words, and its names, which a test may change."""
    words = ["--data", str(photos), "--results", str(folder), "--batch", "4", *words]
    monkeypatch.setattr(sys, "argv", ["pixels.py", *words])
    return pixels["main"], pixels["main"].__globals__


def written(folder):
    (file,) = folder.glob("pixels_*.json")
    return json.loads(file.read_text())


def test_figures_are_written_after_each_epoch(pixels, photos, monkeypatch, tmp_path):
    main, names = main_of(pixels, photos, monkeypatch, tmp_path)
    timed = pixels["Timed"]([2.0], 0, 0)

    def one_turn(turn, train, ways_in, epochs, tell, failed):
        tell("compute", timed)
        raise KeyboardInterrupt  # as a time limit ends it

    monkeypatch.setitem(names, "one_turn", one_turn)
    monkeypatch.setitem(names, "trainer", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        main()
    result = written(tmp_path)
    row = result["models"]["mobilenetv2_100"]["compute"]
    assert (row["first_share"], row["first_times"], row["later"]) == (1.0, None, None)
    assert (result["setting"]["batch"], result["setting"]["turns"]) == (4, 3)


def test_a_way_that_fails_is_told_and_the_others_go_on(
    pixels, photos, monkeypatch, tmp_path, capsys
):
    words = ["--model", "resnet18", "--turns", "1", "--epochs", "2"]
    main, names = main_of(pixels, photos, monkeypatch, tmp_path, *words)

    def fail(_):
        raise RuntimeError("no such kernel")

    ways = {"compute": iter, "lacewing": fail, "ImageFolder, 2 workers": iter}
    made = {title: pixels["Way"](lambda _, read=read: read(())) for title, read in ways.items()}
    monkeypatch.setitem(names, "ways_of", lambda *_: made)
    monkeypatch.setitem(names, "trainer", lambda *_: list)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    rows = written(tmp_path)["models"]["resnet18"]
    assert rows["lacewing"]["failed"] == "RuntimeError: no such kernel"
    assert rows["lacewing"]["first"] is None
    for title in ("compute", "ImageFolder, 2 workers"):
        assert rows[title]["failed"] is None
        assert (rows[title]["first"]["n"], rows[title]["later"]["n"]) == (1, 1)
    assert "lacewing: failed, RuntimeError: no such kernel" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("free", "loader"),
    [(None, (16, 2)), (33, (16, 2)), (32, (16, 1)), (17, (16, 1)), (5, (4, 1)), (0, (0, 1))],
)
def test_processes_make_no_more_ahead_than_shared_memory_holds(pixels, free, loader):
    """One batch more than those made ahead is there: the one in use."""
    within = pixels["within_shared_memory"]
    assert within(16, 154, None if free is None else free * 154) == loader
    assert within(0, 154, 0) == (0, 2)


def test_rows_are_repeated_up_to_a_count(pixels, photos, tmp_path):
    index = open_images(photos, cache_dir=tmp_path).split("train")
    many = pixels["repeated"](index, 11)
    assert many.paths() == (4 * index.paths())[:11]
