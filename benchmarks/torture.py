"""kill -9 at random instants, then the same command again, until the run is done.

Every finished run is compared with one that was left alone: each byte of the best weights, of
the last checkpoint's weights and moments, of the predictions, and every figure of metrics.jsonl
but the times. The first difference ends the program with exit code 1.

    python benchmarks/torture.py --kills 100 [--model test_resnet] [--seed 0] [--folder DIR]

Each process is forked from one that has imported everything, so that the instants fall into
planning, training, validation and checkpoints rather than into Python's start. Needs fork.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lacewing.api
import lacewing.results.figures
from common import machine_facts, parser, write_result
from lacewing.cli import main as lacewing_main
from lacewing.store.run import Run, read_lines
from lacewing.training.checkpoint import complete

COLOURS = {"aphid": (60, 170, 70), "beetle": (180, 60, 50), "moth": (70, 80, 190)}
SAME = ("epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy",
        "learning_rate", "best", "micro_batch")  # fmt: skip
"""What of an epoch's row is no matter of time."""


@dataclass(frozen=True)
class Setting:
    """What is trained, and where."""

    folder: Path
    model: str
    epochs: int

    def words(self, name: str) -> list[str]:
        """The command line of a run; what a trial would measure is said outright."""
        fields: dict[str, Any] = {
            "data": self.folder / "photos", "output": self.folder / "runs", "name": name,
            "model": self.model, "pretrained": False, "image-size": 32, "batch-size": 8,
            "epochs": self.epochs, "patience": 0, "optimizer": "adamw", "dropout": 0.2,
            "learning-rate": 0.005, "trial": False, "device": "cpu", "threads": 1,
            "precision": "fp32", "memory-format": "channels_last", "recipe": "classic",
            "tensorboard": False, "checkpoint-seconds": 0.05, "resume": "auto",
        }  # fmt: skip
        return [
            "train",
            *(word for key, value in fields.items() for word in (f"--{key}", str(value))),
        ]


def draw_photos(root: Path, per_class: int) -> None:
    """A data set of three tints, drawn from a seed."""
    noise = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = noise.normal(0, 60, (48, 64, 3)) + np.array(colour)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )


def start(words: list[str], log: Path) -> int:
    """Run lacewing in a process of its own, with its output in `log`; returns its id."""
    process = os.fork()
    if process:
        return process
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os._exit(lacewing_main(words))


def run_alone(setting: Setting, name: str) -> float:
    """A run that nobody disturbs; its seconds."""
    began = time.perf_counter()
    _, status = os.waitpid(start(setting.words(name), setting.folder / f"{name}.log"), 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit((setting.folder / f"{name}.log").read_text())
    return time.perf_counter() - began


def run_killed(
    setting: Setting, name: str, instants: random.Random, longest: float, kills: int
) -> tuple[int, Counter[str]]:
    """The same run, killed up to `kills` times; how often, and in which part of its life."""
    where: Counter[str] = Counter()
    while True:
        log = setting.folder / f"{name}.log"
        process = start(setting.words(name), log)
        if where.total() < kills:
            time.sleep(instants.uniform(0, 0.8 * longest))  # some get to the end
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return where.total(), where
        if code != -signal.SIGKILL:
            sys.exit(f"{name} ended by itself with {code}:\n{log.read_text()}")
        where[part_of_life(Run(setting.folder / "runs" / name))] += 1


def part_of_life(run: Run) -> str:
    """How far a killed run had come."""
    if not run.config.is_file():
        return "planning"
    if not complete(run):
        return "before the first checkpoint"
    if run.results.is_file():
        return "judging"
    return f"epoch {len(list(read_lines(run.metrics))) + 1}"


def differences(one: Run, two: Run) -> list[str]:
    """What of two finished runs is not the same."""
    found = [a.name for a, b in zip(*map(files, (one, two)), strict=True) if differ(a, b)]
    rows = [[{key: row[key] for key in SAME} for row in read_lines(r.metrics)] for r in (one, two)]
    return found + (["metrics.jsonl"] if rows[0] != rows[1] else [])


def files(run: Run) -> list[Path]:
    """What must be the same to the byte."""
    newest = complete(run)[0]
    moments = newest / "optimizer.safetensors"
    return [run.model, run.predictions, newest / "model.safetensors", moments]


def differ(one: Path, two: Path) -> bool:
    """Whether two files hold different bytes."""
    return one.read_bytes() != two.read_bytes()


def torture(setting: Setting, kills: int, seed: int) -> dict[str, Any]:
    """Kill so often in all, over as many runs as it takes; what happened."""
    runs = setting.folder / "runs"
    seconds = run_alone(setting, "calm")
    instants, where, finished = random.Random(seed), Counter[str](), 0
    while where.total() < kills:
        name = f"killed-{finished}"
        _, parts = run_killed(setting, name, instants, seconds, kills - where.total())
        where += parts
        differing = differences(Run(runs / "calm"), Run(runs / name))
        if differing:
            sys.exit(f"{runs / name} differs from {runs / 'calm'} in {', '.join(differing)}.")
        finished += 1
        print(f"{where.total():4} kills, {finished} runs finished, all like the undisturbed one")
    return {"kills": where.total(), "runs": finished, "where": dict(where), "run_seconds": seconds}


def main() -> None:
    """Read the words, torture, write the result."""
    words = parser(__doc__)
    words.add_argument("--kills", type=int, default=100)
    words.add_argument("--model", default="test_resnet")
    words.add_argument("--epochs", type=int, default=6)
    words.add_argument("--per-class", type=int, default=40)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--folder", type=Path, help="kept afterwards; a temporary one if not given")
    given = words.parse_args()
    kills, epochs, per_class = (
        (6, 4, 40) if given.quick else (given.kills, given.epochs, given.per_class)
    )
    folder = given.folder or Path(tempfile.mkdtemp(prefix="torture-"))
    os.environ["LACEWING_CACHE"] = str(folder / "cache")
    draw_photos(folder / "photos", per_class)
    result = torture(Setting(folder, given.model, epochs), kills, given.seed)
    if given.quick:
        print(result)
    else:
        setting = {
            "model": given.model,
            "epochs": epochs,
            "per_class": per_class,
            "seed": given.seed,
        }
        print(
            write_result("torture", machine_facts(), {"setting": setting, **result}, given.results)
        )
    if given.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    assert lacewing.api and lacewing.results.figures  # imported so that no forked process has to
    main()
