"""Random jobs under a cap on memory: each must be done with its effective batch, or refused.

On the CPU each job is the command itself under a limit on its address space (RLIMIT_AS), on a GPU
(--device cuda) under a share of the card's memory, the same GiB on every card. It must finish, or
end with one sentence that says what lacks and what would fit: "refused". Those whose plan was
accepted, and that ended with such a sentence all the same, are counted apart: "stopped"; so are
those that only say that the memory ran out, as any error does that nobody foresaw: "unexplained".
The exit code is 1 unless all were done or refused. The result is written anew after each job.

    python benchmarks/oom_sweep.py [--quick] [--jobs 40] [--seed 0] [--device cpu]
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from common import machine_facts, parser, print_table, write_result
from lacewing.cli import RAN_OUT
from lacewing.hardware.backends import backend_for
from lacewing.store.run import Run, read_lines

MODELS = ("resnet18", "mobilenetv2_100", "regnety_002", "squeezenet", "convnext_atto", "vgg")
SIZES = (64, 96, 128, 224)
BATCHES = (1, 4, 16, 32, 64, 256)
CAPS_GIB = {"cpu": (5, 5.5, 6, 7, 8, 10), "gpu": (0.5, 1, 2, 4, 8)}
"""Address space of a CPU job, of which libraries reserve the most; of a GPU's memory."""
MOST_SHARE = 0.9
"""Of a device's memory, for a job."""
EXPECTED = {0: "done", 1: "stopped", 2: "refused"}
"""Exit codes of the command, of which the last two come with an error that says what to do."""


def draw(random_: random.Random, kind: str) -> dict[str, Any]:
    """A job that nobody would plan."""
    return {
        "model": random_.choice(MODELS),
        "size": random_.choice(SIZES),
        "batch": random_.choice(BATCHES),
        "cap": random_.choice(CAPS_GIB[kind]),
    }


def one_job(job: dict[str, Any], flags: argparse.Namespace) -> dict[str, Any]:
    """What became of a job: its outcome, and whether the batch stayed what was asked."""
    is_cpu = flags.device == "cpu"
    share = MOST_SHARE if is_cpu else share_of(job["cap"], free_bytes(flags.device))
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "lacewing", "train", "--data", flags.data, "--model",
                job["model"], "--pretrained", "no", "--image-size", str(job["size"]), "-bz",
                str(job["batch"]), "--accumulate", "--epochs", "1", "--output", folder, "--name",
                "run", "--tensorboard", "no", "--evaluate", "no", "--device", flags.device,
                "--plan-budget", "3s", "--memory-share", f"{share:.4f}"]  # fmt: skip
        done = subprocess.run(
            line,
            capture_output=True,
            text=True,
            preexec_fn=(lambda: limit(job["cap"])) if is_cpu else None,
        )
        kept = batch_was_kept(Path(folder) / "run", job["batch"]) if done.returncode == 0 else None
    lines = done.stderr.splitlines()
    said = [line for line in lines if line.startswith("error: ")]
    last = (said or lines or [""])[-1]
    return {
        **job,
        "outcome": outcome_of(done.returncode, said),
        "kept": kept,
        "code": done.returncode,
        "said": last[:240],
    }


def outcome_of(code: int, said: list[str]) -> str:
    """How a job ended, by its exit code and the errors that it said."""
    outcome = EXPECTED.get(code, "crashed")
    if outcome in ("done", "crashed"):
        return outcome
    if not said or any("fault of lacewing" in line for line in said):
        return "crashed"
    return "unexplained" if any(RAN_OUT in line for line in said) else outcome


def share_of(gib: float, free: int) -> float:
    """Of so many free bytes, for a cap."""
    return min(MOST_SHARE, gib * 2**30 / free)


def free_bytes(address: str) -> int:
    """Of a GPU's memory, what is free; ends where its driver can't tell."""
    backend, number = backend_for(address)
    free = backend.memory(number).free_bytes
    if free is None:
        sys.exit(f"{address} can't tell its memory, so no job can be capped.")
    return free


def limit(gib: float) -> None:
    """Cap this process's address space, and its children's."""
    size = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def batch_was_kept(folder: Path, asked: int) -> bool:
    """Whether the steps of a run of one epoch had the asked images each.

    By the steps that it took, and by the log, in which a change of the batch would stand.
    """
    run = Run(folder)
    training = json.loads(run.dataset.read_text())["images"]["train"]
    *_, epoch = read_lines(run.metrics)
    changed = any(event.get("field") == "batch" for event in read_lines(run.events))
    return epoch["step"] == training // min(asked, training) and not changed


def is_fine(row: dict[str, Any]) -> bool:
    """Whether a job was refused, or done with the batch that was asked for."""
    return row["outcome"] == "refused" or (row["outcome"] == "done" and row["kept"])


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--device", default="cpu")
    flags.add_argument("--data", default="sample")
    flags.add_argument("--jobs", type=int, default=None, help="40 on the CPU, 200 on a GPU")
    flags.add_argument("--seed", type=int, default=0)
    given = flags.parse_args()
    kind = "cpu" if given.device == "cpu" else "gpu"
    jobs = given.jobs or (2 if given.quick else {"cpu": 40, "gpu": 200}[kind])
    random_ = random.Random(given.seed)
    facts = machine_facts(given.device)
    rows: list[dict[str, Any]] = []
    counts, changed = Counter[str](), 0
    for number in range(jobs):
        rows.append(one_job(draw(random_, kind), given))
        counts[rows[-1]["outcome"]] += 1
        changed += rows[-1]["kept"] is False
        content = {"counts": counts, "changed_batches": changed, "seed": given.seed, "rows": rows}
        path = write_result("oom_sweep", facts, content, given.results)
        print(f"{number + 1}/{jobs}", json.dumps(rows[-1]), flush=True)
    print_table(["outcome", "jobs"], sorted(counts.items()))
    print(
        f"{counts['crashed']} crashes, {counts['unexplained']} unexplained, {counts['stopped']} "
        f"stopped, {changed} changed batches in {jobs} jobs"
    )
    print(f"written to {path}")
    sys.exit(not all(map(is_fine, rows)))


if __name__ == "__main__":
    main()
