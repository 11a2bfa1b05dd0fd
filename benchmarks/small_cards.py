"""Short trainings on a large card that passes for small ones, each with the memory of one of them.

The tier, the plan and the cap on the process are those of a card with so many GiB (see
hardware/smaller.py); its speed is the large one's. What the driver holds of the card counts, what
other programs hold too: nothing else may run on it. Each row tells the tier and the passes of a
step, the most that torch reserved beside what the plan allowed, how often the memory ran out, and
how the training ended, in the words of oom_sweep.py. The result is written anew after each row.

    python benchmarks/small_cards.py [--quick] [--device cuda] [--caps 2 3 4 6 8 12 24]
                                     [--models resnet18 resnet50] [--batch 64]

On the CPU, which has no such card, `--quick` shows that it runs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from common import machine_facts, parser, print_table, write_result
from lacewing.hardware.smaller import VARIABLE
from lacewing.store.run import Run, read_lines
from oom_sweep import outcome_of

CAPS_GIB, QUICK_GIB = (2, 3, 4, 6, 8, 12, 24), (4,)
PLANNED = ("tier", "image_size", "batch", "micro_batch", "accumulation", "precision")


def one_run(cap: float, model: str, flags: argparse.Namespace) -> dict[str, Any]:
    """What became of a training on a card of so many GiB."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "lacewing", "train", "--data", flags.data, "--model", model,
                "--pretrained", "no", "-bz", str(flags.batch), "--accumulate", "--epochs", "1",
                "--output", folder, "--name", "run", "--tensorboard", "no", "--evaluate", "no",
                "--device", flags.device, "--plan-budget", "5s"]  # fmt: skip
        environment = os.environ | {VARIABLE: f"{cap:g}"}
        done = subprocess.run(line, capture_output=True, text=True, env=environment)
        found = planned_and_taken(Run(Path(folder) / "run"))
    lines = done.stderr.splitlines()
    said = [line for line in lines if line.startswith("error: ")]
    outcome = outcome_of(done.returncode, said)
    last = (said or lines or [""])[-1]
    return {
        "cap_GiB": cap,
        "model": model,
        "outcome": outcome,
        **found,
        "said": "" if outcome == "done" else last[:240],
    }


def planned_and_taken(run: Run) -> dict[str, Any]:
    """What a run's plan says and its training took; None where it did not get there."""
    plan, memory, peak = dict.fromkeys(PLANNED), None, None
    if run.plan.exists():
        decisions = yaml.safe_load(run.plan.read_text())["decisions"]
        plan = {name: decisions[name]["value"] for name in PLANNED}
        memory = decisions["memory_bytes"]["value"]
    if run.results.exists():
        peak = json.loads(run.results.read_text())["training"]["peak_bytes"]
    return {
        **plan,
        "allowed_MiB": memory and memory / 2**20,
        "peak_MiB": peak and peak / 2**20,
        "ran_out": sum(event["kind"] == "out-of-memory" for event in read_lines(run.events)),
    }


def is_fine(row: dict[str, Any]) -> bool:
    """Whether a training was done or refused, and within what was allowed."""
    peak, allowed = row["peak_MiB"], row["allowed_MiB"]
    return row["outcome"] in ("done", "refused") and not (peak and allowed and peak > allowed)


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--device", default="cuda")
    flags.add_argument("--data", default="sample")
    flags.add_argument("--caps", nargs="*", type=float, metavar="GIB")
    flags.add_argument("--models", nargs="*", default=["resnet18", "resnet50"])
    flags.add_argument("--batch", type=int, default=64)
    given = flags.parse_args()
    given.caps = given.caps or (QUICK_GIB if given.quick else CAPS_GIB)
    if given.quick:
        given.models = ["test_resnet"]
    elif not given.device.startswith("cuda"):
        sys.exit(f"{given.device} can't pass for a smaller card: use --device cuda.")
    facts = machine_facts(given.device)
    rows: list[dict[str, Any]] = []
    for model, cap in product(given.models, given.caps):
        rows.append(one_run(cap, model, given))
        content = {"data": given.data, "asked_batch": given.batch, "rows": rows}
        path = write_result("small_cards", facts, content, given.results)
        print(json.dumps(rows[-1]), flush=True)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    print(f"written to {path}")
    sys.exit(not all(map(is_fine, rows)))


if __name__ == "__main__":
    main()
