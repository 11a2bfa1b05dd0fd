"""What every benchmark shares: facts of the machine, fair timing, a table, a result file.

A result file is named benchmarks/results/<what>_<device>_torch<version>_<date>.json and holds
the facts of the machine, the settings, and n, median and quartiles of each figure.
"""

import argparse
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from lacewing.hardware.limits import usable_cores
from lacewing.hardware.processor import cpu_name
from lacewing.store.atomic import write_text

RESULTS = Path(__file__).resolve().parent / "results"
PHOTOS = RESULTS.parents[2] / "shared" / "data" / "agri_pests12"
"""1,440 training and 360 test photos beside the project, which may not be passed on."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the flags that all benchmarks have."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="a tiny setting: does it run at all?")
    made.add_argument("--results", type=Path, default=RESULTS, help="folder of the result file")
    return made


def photos(name: str) -> Path:
    """A folder of photos, for argparse, which checks its default by it too if that is a string."""
    folder = Path(name)
    if not any((folder / "train").glob("*/*")) or not (folder / "test").is_dir():
        raise argparse.ArgumentTypeError(
            f"{folder} has no photos: name a folder with train/ and test/, and one for each class "
            "in both, by --data"
        )
    return folder


def machine_facts(device: str = "cpu") -> dict[str, Any]:
    """What a figure depends on: the device's name, cores, load, versions, the day."""
    is_cuda = torch.device(device).type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if is_cuda else f"{device} {cpu_name()}",
        "cores": usable_cores().value,
        # above 0.5 something else was running: the figures are worth little
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        # of a waiting thread, see hardware/waiting.py; None: torch's own
        "spin_turns": os.environ.get("GOMP_SPINCOUNT"),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "date": date.today().isoformat(),
    }


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 1,
    tell: Callable[[str, Sequence[float]], None] = lambda *_: None,
    failed: Callable[[str, Exception], None] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each call in each round; `tell` gets a call's name and seconds after each round.

    Every round calls all of them, and each round begins with the next one, so that a drift of
    the machine's speed and a neighbour's after-effects meet all alike. A call on a GPU must
    wait for it. One that raises is given to `failed`, and left out from then on; without that, it
    ends all of them.
    """
    names, lost = list(calls), set[str]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm_up, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if name in lost:
                continue
            start = time.perf_counter()
            try:
                calls[name]()
            except Exception as error:
                if failed is None:
                    raise
                failed(name, error)
                lost.add(name)
                continue
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
                tell(name, seconds[name])
    return seconds


def summary(values: Sequence[float]) -> dict[str, float]:
    """n, median, and the lower and the upper quartile."""
    ordered = sorted(values)
    low, _, high = (
        statistics.quantiles(ordered, n=4, method="inclusive")
        if len(ordered) > 1
        else (ordered[0],) * 3
    )
    return {"n": len(ordered), "median": statistics.median(ordered), "low": low, "high": high}


def result_path(what: str, facts: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Where the result of a benchmark lies, by machine, version and day."""
    device = re.sub(r"[^a-z0-9]+", "-", str(facts["device"]).lower()).strip("-")
    version = str(facts["torch"]).partition("+")[0]
    return folder / f"{what}_{device}_torch{version}_{facts['date']}.json"


def write_result(
    what: str, facts: Mapping[str, Any], content: Mapping[str, Any], folder: Path = RESULTS
) -> Path:
    """Write a result file and return its path; `content` is the benchmark's own.

    One that is written anew as figures come is whole whenever a time limit ends the program.
    """
    path = result_path(what, facts, folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"facts": dict(facts), **content}, indent=2) + "\n")
    return path


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table in aligned columns; floats with three significant digits."""
    texts = [list(columns)] + [
        [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows
    ]
    widths = [max(len(row[column]) for row in texts) for column in range(len(columns))]
    for row in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
