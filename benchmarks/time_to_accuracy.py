"""Accuracy over time: lacewing's recipe against fastai, Ultralytics, timm and Lightning.

Each peer trains as its own documentation tells a user to (benchmarks/peers), on the same images,
with the same network and the same offline ImageNet weights, one after the other on the same
machine's CPU. A peer has two runs: one epoch, and as many as fit the given minutes by that one, so
that both schedules end well. It is judged after every epoch, its figure is the better of both runs,
and only its training counts as time: not start-up, not judging. lacewing's time is the whole
command, with start-up, decisions, evaluation and report, and by each time the figure is that of its
longest run, not of its best. All accuracies are on the test images, which no way chooses anything
by, but for the peers' best epoch.

    make bench-peers                # makes .venv-peers and runs this
    python benchmarks/time_to_accuracy.py [--quick] [--data FOLDER] [--minutes 4] [--scratch]

`--only` without a name leaves the peers out, `--budgets` without one lacewing. What was measured
before on the same day stays in the result file, so that it can be done in parts. `--scratch`
begins from random weights, on the built-in sample unless --data names others.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import matplotlib

from common import (
    PHOTOS,
    machine_facts,
    parser,
    photos,
    print_table,
    result_path,
    write_result,
)

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parent / ".venv-peers" / "bin" / "python"
MODEL = "efficientnet_lite0"
PEERS = ("fastai", "ultralytics", "timm", "lightning")
MARKS = (60, 180, 300, 900)
"""Seconds at which accuracies are compared."""


@dataclass(frozen=True)
class Point:
    """Accuracy on the test images after so many seconds."""

    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Curve:
    """What was measured of one way, and the epochs of a peer's longest run."""

    points: Sequence[Point]
    epochs: int | None = None


def peer_run(name: str, data: Path, epochs: int, size: int, scratch: bool) -> list[Point]:
    """The points of one run of a peer."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "points.jsonl"
        words = [str(PYTHON), f"{name}_peer.py", "--data", str(data), "--out", str(out),
                 "--epochs", str(epochs), "--size", str(size)]  # fmt: skip
        words += ["--scratch"] if scratch else []
        # some would take a GPU by themselves
        hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=HERE / "peers", env=hidden)
        return [Point(**json.loads(line)) for line in out.read_text().splitlines()]


def peer_curve(name: str, data: Path, minutes: float, size: int, scratch: bool) -> Curve:
    """The points of its shortest run and of its longest that fits."""
    short = peer_run(name, data, 1, size, scratch)
    epochs = round(minutes * 60 / short[0].seconds)
    long = peer_run(name, data, epochs, size, scratch) if epochs > 1 else []
    return Curve(sorted((*short, *long), key=lambda point: point.seconds), max(1, epochs))


def lacewing_run(data: Path, more: Sequence[str]) -> Point:
    """The whole command."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "lacewing", "train", "--data", str(data), "--model", MODEL,
                 "--device", "cpu", "--output", folder, "--name", "run", *more]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        results = json.loads((Path(folder) / "run" / "results.json").read_text())
    return Point(seconds, results["splits"]["test"]["top1"])


def lacewing_words(budget: str, scratch: bool) -> list[str]:
    """Flags of one of lacewing's runs."""
    return ["--budget", budget, *(["--pretrained", "False"] if scratch else [])]


def sample_folder(folder: Path) -> Path:
    """The built-in sample as train/ and test/ folders."""
    words = [sys.executable, "-m", "lacewing", "sample", str(folder)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return folder


def first_time(points: Sequence[Point], accuracy: float) -> float | None:
    """When a curve first reaches an accuracy."""
    return next((p.seconds for p in points if p.accuracy >= accuracy), None)


def best_by(name: str, points: Sequence[Point], seconds: float = math.inf) -> float | None:
    """The best accuracy of a peer's epochs by a time; of lacewing's runs, that of the longest."""
    done = [point for point in points if point.seconds <= seconds]
    if name == "lacewing":
        done = sorted(done, key=lambda point: point.seconds)[-1:]
    return max((point.accuracy for point in done), default=None)


def shown(value: float | None, digits: int = 3) -> str:
    """A number, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def table(curves: Mapping[str, Curve]) -> tuple[list[str], list[list[str]]]:
    """Best accuracy, the time to the peers' best, and the accuracy by each mark."""
    peers = [curve.points for name, curve in curves.items() if name != "lacewing"]
    best = max((point.accuracy for points in peers for point in points), default=0.0)
    columns = ["way", "best", f"s to {best:.3f}", *(f"by {mark} s" for mark in MARKS)]
    rows = [
        [
            name,
            shown(best_by(name, curve.points)),
            shown(first_time(curve.points, best), 0),
            *(shown(best_by(name, curve.points, mark)) for mark in MARKS),
        ]
        for name, curve in curves.items()
    ]
    return columns, rows


def draw(curves: Mapping[str, Curve], title: str, file: Path) -> None:
    """The curves as a picture, a peer's of its best so far; lacewing's points are runs."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, curve in curves.items():
        ours = name == "lacewing"
        style = {"marker": "o", "linewidth": 2.2 if ours else 1.2, "zorder": 3 if ours else 2}
        reached = [p.accuracy for p in curve.points]
        reached = reached if ours else list(accumulate(reached, max))
        axes.plot([p.seconds for p in curve.points], reached, label=name, **style)
    axes.set(xlabel="seconds of training (lacewing: the whole command)",
             ylabel="accuracy on the test images", xscale="log", title=title)  # fmt: skip
    axes.minorticks_off()
    axes.set_xticks(MARKS, [f"{mark}" for mark in MARKS])
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=130)


def measured_today(path: Path, data: Path, size: int) -> dict[str, Curve]:
    """What the day's result file has of the same images at the same size."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text())
    if (content["data"], content["size"]) != (data.name, size):
        return {}
    return {
        name: Curve([Point(**point) for point in points], content["epochs"].get(name))
        for name, points in content["curves"].items()
    }


def keep(
    what: str,
    facts: Mapping[str, Any],
    data: Path,
    size: int,
    curves: Mapping[str, Curve],
    folder: Path,
) -> None:
    """Write what was measured so far, and its picture."""
    columns, rows = table(curves)
    content = {
        "data": data.name,
        "size": size,
        "epochs": {name: curve.epochs for name, curve in curves.items() if curve.epochs},
        "curves": {name: [vars(p) for p in curve.points] for name, curve in curves.items()},
        "columns": columns,
        "rows": rows,
    }
    path = write_result(what, facts, content, folder)
    draw(curves, f"{data.name}, EfficientNet-Lite0, {facts['device']}", path.with_suffix(".png"))


def known_photos(flags: argparse.ArgumentParser) -> Path:
    """Those beside the project; ends with the parser's error where they are not there."""
    try:
        return photos(str(PHOTOS))
    except argparse.ArgumentTypeError as error:
        flags.error(f"argument --data: {error}")


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", type=photos, help="folder with train/ and test/")
    flags.add_argument("--minutes", type=float, default=4.0, help="for each peer")
    flags.add_argument("--budgets", nargs="*", default=["1m", "3m"])
    flags.add_argument("--only", nargs="*", choices=PEERS, default=list(PEERS))
    flags.add_argument("--scratch", action="store_true")
    given = flags.parse_args()
    size, budgets = (96, ["40s"]) if given.quick else (224, given.budgets)
    if not given.only and not budgets:
        flags.error("arguments --only and --budgets: nothing is left to measure")
    if given.only and not PYTHON.is_file():
        sys.exit("The peers are not installed: run `make bench-peers`.")
    what = (
        "time_to_accuracy"
        + ("_scratch" if given.scratch else "")
        + ("" if given.only else "_alone")
    )
    facts = machine_facts()
    path = result_path(what, facts, given.results)
    with tempfile.TemporaryDirectory() as made:
        data = given.data
        if data is None:
            data = sample_folder(Path(made) / "sample") if given.scratch else known_photos(flags)
        curves = measured_today(path, data, size)
        for name in (*(["lacewing"] if budgets else []), *given.only):
            if name == "lacewing":
                runs = [lacewing_words(budget, given.scratch) for budget in budgets]
                curves[name] = Curve([lacewing_run(data, words) for words in runs])
            else:
                minutes = 0.0 if given.quick else given.minutes
                curves[name] = peer_curve(name, data, minutes, size, given.scratch)
            print(name, curves[name], flush=True)
            keep(what, facts, data, size, curves, given.results)
    print_table(*table(curves))
    print(path)


if __name__ == "__main__":
    main()
