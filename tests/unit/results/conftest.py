"""A made-up run folder, as far as a run may have come."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from lacewing.config import TrainConfig, save_config
from lacewing.hardware.machine import Machine
from lacewing.results.metrics import figures
from lacewing.results.tables import write_predictions
from lacewing.store.run import Run, append_line, write_json

MACHINES = Path(__file__).parents[2] / "machines"
DECISIONS = {
    "device": ("cpu", "no GPU passed its test", "fallback", {}),
    "precision": ("bf16", "1.9 times as fast as fp32", "measured", {"images_per_second": 90.0}),
    "memory_format": ("channels_last", "fastest of 2 tried", "measured", {}),
    "image_size": (128, "the cpu tier's size", "rule", {}),
    "batch": (16, "asked for", "user", {}),
    "accumulation": (2, "6 images fit at a time", "rule", {}),
    "learning_rate": (0.0005, "0.001 for 32 images, scaled to 16", "rule", {}),
    "memory_bytes": (8 * 2**30, "half of the memory", "rule", {"free_bytes": 16 * 2**30}),
}


def scores(images: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 [n, C] of a fair network on a long-tailed split, labels int64 [n].

    Classes are confused inside groups of four. No two probabilities of an image are equal.
    """
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, classes + 1)
    labels = random.choice(classes, images, p=weights / weights.sum())
    groups = random.permutation(classes) // 4
    logits = random.normal(size=(images, classes)) + 2.0 * (groups == groups[labels][:, None])
    logits[np.arange(images), labels] += 1.5
    odds = np.exp(logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), labels


def epoch_row(epoch: int, best: bool) -> dict[str, object]:
    return {
        "epoch": epoch,
        "step": 100 * epoch,
        "train_loss": 0.3 + 2.7 * 0.8**epoch,
        "train_accuracy": 1 - 0.9 * 0.8**epoch,
        "val_loss": 0.6 + 2.2 * 0.75**epoch + 0.01 * epoch,
        "val_accuracy": 0.8 - 0.6 * 0.75**epoch,
        "learning_rate": 0.0005,
        "images_per_second": 88.0,
        "train_seconds": 61.0,
        "val_seconds": 9.0,
        "wait_seconds": 0.5,
        "seconds": 70.0,
        "peak_bytes": 1_500_000_000,
        "best": best,
        "micro_batch": 8,
    }


def add_plan(run: Run) -> None:
    keys = ("value", "reason", "source", "evidence")
    decisions = {name: dict(zip(keys, entry, strict=True)) for name, entry in DECISIONS.items()}
    document = {"version": 1, "decisions": decisions, "notes": ["Batch 16 is small for SGD."]}
    run.plan.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def add_beginnings(run: Run, classes: Sequence[str]) -> None:
    """Configuration, machine, data and plan: what stands before the first step."""
    config = TrainConfig(data="IP102", model="resnet18", epochs=20, batch_size=16)
    save_config(config, run.config)
    machine = Machine.load(MACHINES / "cpu_2core_24gb.json")
    replace(machine, disk_free_bytes=2**36).save(run.machine)
    rows = [
        {"name": name, "train": 900 // (label + 1), "val": 9, "test": 20}
        for label, name in enumerate(classes)
    ]
    dataset = {
        "name": "IP102",
        "root": "/data/IP102",
        "layout": "IP102 lists (train.txt, val.txt, test.txt)",
        "images": {"train": 45095, "val": 7508, "test": 22619},
        "classes": rows,
        "excluded": [{"path": "images/1.jpg", "reason": "truncated"}] * 3,
        "excluded_reasons": {"truncated": 3},
        "notes": ["3 files left out: 3 truncated."],
        "fingerprint": "5f0e" * 8,
    }
    write_json(run.dataset, dataset)
    add_plan(run)


def add_epochs(run: Run, epochs: int) -> None:
    for epoch in range(1, epochs + 1):
        append_line(run.metrics, epoch_row(epoch, best=epoch <= 12))
    event = {
        "time": "2026-11-03T14:22:05.120+00:00",
        "kind": "out-of-memory",
        "message": "out of memory at step 12: micro-batch 16 -> 8, same images per step",
    }
    append_line(run.events, event)


def add_results(run: Run, classes: Sequence[str], images: int) -> None:
    probabilities, labels = scores(images, len(classes))
    judged = figures(probabilities, labels, classes).as_dict()
    training = {
        "seconds": 1400.0,
        "epochs": 20,
        "best_epoch": 12,
        "ending": "20 of 20 epochs done",
        "images_per_second": 88.0,
        "peak_bytes": 1_500_000_000,
    }
    write_json(run.results, {"splits": {"val": judged, "test": judged}, "training": training})
    command = "lacewing train --data IP102 --model resnet18 --epochs 20 --batch-size 16"
    append_line(run.events, {"kind": "start", "message": "begins", "command": command})
    paths = [f"images/{number:05}.jpg" for number in range(images)]
    write_predictions(run.predictions, paths, labels, probabilities, classes)


@pytest.fixture(name="scores")
def scores_maker() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """`scores(images, classes, seed)`: probabilities and labels."""
    return scores


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """`make_run(classes, stage)`: a run that is `planned`, in `training`, or `complete`."""

    def make(classes: Sequence[str], stage: str = "complete", images: int = 400) -> Run:
        run = Run(tmp_path / "run")
        run.folder.mkdir()
        add_beginnings(run, classes)
        if stage != "planned":
            add_epochs(run, 20 if stage == "complete" else 5)
        if stage == "complete":
            add_results(run, classes, images)
        return run

    return make
