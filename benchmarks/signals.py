"""How long a run takes to end once it is asked to: the largest of many random instants.

SIGTERM is sent while files are read, the plan is made and measured, features are computed, and
in training and validation. Of each run the seconds until its process has ended are measured,
and whether what it leaves is resumed by the same command.

    python benchmarks/signals.py [--quick] [--signals 20] [--model mobilenetv2_100] [--seed 0]
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from common import machine_facts, parser, print_table, summary, write_result
from lacewing.store.run import Run, read_lines
from lacewing.training.checkpoint import complete

PROMISED_SECONDS = 5.0


def words(folder: Path, name: str, model: str, recipe: str) -> list[str]:
    """A command line; what runs long is what a signal meets most often."""
    return [
        sys.executable, "-m", "lacewing", "train", "--data", "sample", "--model", model,
        "--pretrained", str(recipe != "classic"), "--recipe", recipe, "--epochs", "50",
        "--output", str(folder), "--name", name, "--tensorboard", "no", "--resume", "auto",
        "--device", "cpu", "--trial", str(recipe == "features"),
    ]  # fmt: skip


def part_of_life(run: Run) -> str:
    """What a run was doing when it was asked to end."""
    if not run.config.is_file():
        return "reading or planning"
    if not complete(run):
        return "features"
    return "training" if list(read_lines(run.metrics)) else "first epoch"


def ask_to_end(command: list[str], run: Run, after: float, log: Path) -> tuple[str, float, int]:
    """Start a run and ask it to end: in which part, after how many seconds, with which code."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    time.sleep(after)
    part = part_of_life(run)
    asked = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    code = process.wait()
    return part, time.perf_counter() - asked, code


def main() -> None:
    """Read the words, send the signals, write the result."""
    given_words = parser(__doc__)
    given_words.add_argument("--signals", type=int, default=20)
    given_words.add_argument("--model", default="mobilenetv2_100")
    given_words.add_argument("--longest", type=float, default=60.0, help="seconds until a signal")
    given_words.add_argument("--seed", type=int, default=0)
    given = given_words.parse_args()
    count, longest = (3, 12.0) if given.quick else (given.signals, given.longest)
    folder, instants = Path(tempfile.mkdtemp(prefix="signals-")), random.Random(given.seed)
    os.environ["LACEWING_CACHE"] = str(folder / "cache")
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(count):
        recipe, model = (
            ("classic", given.model) if number % 2 else ("features", "efficientnet_lite0")
        )
        command = words(folder, recipe, model, recipe)
        run = Run(folder / recipe)
        part, took, code = ask_to_end(command, run, instants.uniform(1, longest), folder / "log")
        if code not in (0, 130, -signal.SIGTERM):
            sys.exit(f"ended with {code} while {part}:\n{(folder / 'log').read_text()[-2000:]}")
        if code == 0:
            shutil.rmtree(run.folder)  # it was done before it was asked
            continue
        seconds[part].append(took)
        print(f"{number + 1:3}  {part:20} {took:.2f} s", flush=True)
    report(seconds, given)
    shutil.rmtree(folder)


def report(seconds: dict[str, list[float]], given: Any) -> None:
    """Show, and write unless it was only to see whether it runs."""
    largest = max(max(values) for values in seconds.values())
    rows = [(part, len(v), f"{max(v):.2f} s") for part, v in sorted(seconds.items())]
    print_table(("asked to end while", "signals", "longest"), rows)
    print(f"The longest of all took {largest:.2f} s; {PROMISED_SECONDS:g} s are promised.")
    if not given.quick:
        figures = {part: {**summary(v), "max": max(v)} for part, v in seconds.items()}
        setting = {"model": given.model, "signals": given.signals, "seed": given.seed}
        result = {"setting": setting, "seconds": figures, "largest_seconds": largest}
        print(write_result("signals", machine_facts(), result, given.results))


if __name__ == "__main__":
    main()
