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


def test_figures_are_written_after_each_network(pixels, photos, monkeypatch, tmp_path):
    main = pixels["main"]
    way = {"median": 1.0}
    figures = {"first": way, "later": way, "ram_bytes": 0, "disk_bytes": 0} | dict.fromkeys(
        ("first_share", "first_times", "later_share", "later_times"), 1.0
    )

    def measure(name, index, setting, device):
        if name == "resnet18":
            raise KeyboardInterrupt  # as a time limit ends it
        return {"compute": figures}

    monkeypatch.setitem(main.__globals__, "measure", measure)
    words = ["--data", str(photos), "--results", str(tmp_path), "--batch", "4"]
    monkeypatch.setattr(sys, "argv", ["pixels.py", *words])
    with pytest.raises(KeyboardInterrupt):
        main()
    (file,) = tmp_path.glob("pixels_*.json")
    written = json.loads(file.read_text())
    assert list(written["models"]) == ["mobilenetv2_100"]
    assert (written["setting"]["batch"], written["setting"]["turns"]) == (4, 3)


def test_rows_are_repeated_up_to_a_count(pixels, photos, tmp_path):
    index = open_images(photos, cache_dir=tmp_path).split("train")
    many = pixels["repeated"](index, 11)
    assert many.paths() == (4 * index.paths())[:11]
