"""What the plan predicts, beside what the run then takes: seconds of the epochs, peak memory.

Each row is a short real run of the command, at three image sizes. On the CPU memory is
predicted before the run and read from the kernel's count of the process; on a GPU from torch's.
A GPU has more epochs: two of them would take a part of a second. The result is written anew after
each row.

    python benchmarks/plan_accuracy.py [--quick] [--device cpu] [--sizes 96 128 160]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from common import machine_facts, parser, print_table, write_result
from plan_speed import MODELS

CPU_EPOCHS, GPU_EPOCHS = 2, 20


def one_run(model: str, size: int, flags: argparse.Namespace) -> dict[str, Any]:
    """Predicted and taken, of one run."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "lacewing", "train", "--data", flags.data, "--model", model,
                "--pretrained", "no", "--image-size", str(size), "--epochs", str(flags.epochs),
                "--patience", "0", "--output", folder, "--name", "run", "--tensorboard", "no",
                "--evaluate", "no", "--save-checkpoints", "no", "--sample", str(flags.sample),
                "--device", flags.device]  # fmt: skip
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        run = Path(folder) / "run"
        training = json.loads((run / "results.json").read_text())["training"]
        plan = yaml.safe_load((run / "plan.yaml").read_text())
    seconds, memory = training["epochs_seconds"], training["peak_bytes"]
    return {
        "model": model,
        "size": size,
        "predicted_s": training["forecast_seconds"],
        "taken_s": seconds,
        "error_s": training["forecast_seconds"] / seconds - 1,
        "predicted_MiB": training["forecast_peak_bytes"] / 2**20,
        "taken_MiB": memory / 2**20 if memory else None,
        "error_memory": training["forecast_peak_bytes"] / memory - 1 if memory else None,
        "trial_s": plan["measured"]["seconds"],
        "way": plan["decisions"]["precision"]["value"],
    }


def worst_of(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """The largest errors, as shares; None where the memory was not counted."""
    return {
        what: max((abs(row[what]) for row in rows if row[what] is not None), default=None)
        for what in ("error_s", "error_memory")
    }


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--device", default="cpu")
    flags.add_argument("--data", default="sample")
    flags.add_argument("--sizes", nargs="*", type=int, default=[96, 128, 160])
    flags.add_argument("--epochs", type=int)
    flags.add_argument("--sample", type=float, default=0.4, help="share of the training images")
    flags.add_argument("--models", nargs="*", default=list(MODELS))
    given = flags.parse_args()
    given.epochs = given.epochs or (CPU_EPOCHS if given.device == "cpu" else GPU_EPOCHS)
    if given.quick:
        given.models, given.sizes, given.epochs = ["test_resnet"], [32], CPU_EPOCHS
    facts = machine_facts(given.device)
    setting = {"epochs": given.epochs, "data": given.data, "sample": given.sample}
    rows: list[dict[str, Any]] = []
    for model, size in product(given.models, given.sizes):
        rows.append(one_run(model, size, given))
        content = {"worst": worst_of(rows), **setting, "rows": rows}
        path = write_result("plan_accuracy", facts, content, given.results)
        print(*rows[-1].values(), flush=True)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    known = {what: share for what, share in worst_of(rows).items() if share is not None}
    print("largest errors:", ", ".join(f"{what} {share:.0%}" for what, share in known.items()))
    print(f"written to {path}")


if __name__ == "__main__":
    main()
