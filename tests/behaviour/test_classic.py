"""The classic command lines, verbatim, in subprocesses, on a tree like the release of IP102."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lacewing.data.sample import draw_sample
from lacewing.models.catalog import find_model
from lacewing.models.networks import original_network
from lacewing.store.run import read_json, read_lines

ROOT = Path(__file__).parents[2]
LINES = (
    "-data IP102 -optim Adam -sch steplr   -l2 0.01   -do 0.5 -predt True -mn resnet -lr 0.001"
    "  -bz 16 -ep 50  -dv auto",
    "-data IP102 -optim Adam -sch expdecay -l2 0.0001 -do 0.3 -predt True -mn resnet -lr 0.001"
    "  -bz 32 -ep 100 -dv auto",
    "-data IP102 -optim SGD  -sch none     -l2 0.01   -do 0.5 -predt True -mn resnet -lr 0.0001"
    " -bz 4  -ep 30  -dv auto",
)
REPOSITORY = "models--timm--resnet50.a1_in1k"


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """A folder with data/ip102_v1.1: 102 classes, long tail, as small as that can be."""
    place = tmp_path_factory.mktemp("classic")
    draw_sample(
        place / "data", classes=102, images_per_class=5, long_tail=True, size=48, layout="ip102"
    )
    return place


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Path:
    """A hub cache that holds a ResNet-50 of the right shapes, as the hub lays it out."""
    folder = tmp_path_factory.mktemp("hub")
    snapshot = folder / REPOSITORY / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (folder / REPOSITORY / "refs").mkdir()
    (folder / REPOSITORY / "refs" / "main").write_text("0123abcd")
    info = find_model("resnet")
    shapes = original_network(info.library, info.architecture).state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.02
        if value.is_floating_point()
        else torch.zeros(value.shape, dtype=value.dtype)
        for name, value in shapes.items()
    }
    state |= {name: torch.ones(v.shape) for name, v in shapes.items() if "running_var" in name}
    save_file(state, snapshot / "model.safetensors")
    return folder


def call(words: str, place: Path, hub: Path) -> subprocess.CompletedProcess[str]:
    """`python Trainmain.py <words>`, as it is typed on a fresh clone, without the network."""
    environment = {
        **os.environ,
        "HF_HUB_CACHE": str(hub),
        "HF_HUB_OFFLINE": "1",
        "LACEWING_CACHE": str(place / "cache"),
        "COLUMNS": "160",
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "Trainmain.py"), *words.split()],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(LINES)))
def test_a_classic_line_trains(place, hub, number):
    name = f"classic-{number}"
    # one measures for as long as it would
    shorter = "--image-size 64 --sample 0.3 --min-per-class 1"
    if number:
        shorter += " --plan-budget 1s"
    done = call(f"{LINES[number]} --limit-epochs 1 --name {name} {shorter}", place, hub)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = place / "runs" / name
    assert {path.name for path in folder.iterdir()} >= {
        "config.yaml", "machine.json", "dataset.json", "index.arrow", "plan.yaml", "events.jsonl",
        "metrics.jsonl", "checkpoints", "LAST", "model.safetensors", "results.json",
        "predictions.csv", "confusion_matrix.png", "curves.png", "report.html", "tensorboard",
        "suspects.csv", "evidence",
    }  # fmt: skip
    results = read_json(folder / "results.json")
    assert results["training"]["epochs"] == 1
    assert len(results["splits"]["test"]["classes"]) == 102
    assert "learning rate" in done.stdout
    (start,) = [e for e in read_lines(folder / "events.jsonl") if e["kind"] == "start"]
    assert start["command"].startswith("python") and "-optim" in start["command"]
    advised = "--optimizer adamw" in done.stdout
    assert advised == (number == 0)  # only the first has Adam with a large L2 term


def test_without_its_weights_and_a_network_it_ends_at_once(place, tmp_path):
    done = call(f"{LINES[0]} --limit-epochs 1", place, tmp_path / "empty")
    assert done.returncode == 2
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
    assert all(way in done.stderr for way in ("--weights", "-predt False", "efficientnet_lite0"))
    assert "reading the images" not in done.stderr
