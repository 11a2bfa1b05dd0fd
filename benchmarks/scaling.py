"""How a step scales with the number of processes: measured on 1 and 2 here, predicted beyond.

    python benchmarks/scaling.py [--quick]           (half a minute on two cores)

The model of a step of N processes, each with the same number of images:

    step(N) = compute + overhead + 2 (N-1)/N x gradient bytes / bandwidth + 2 (N-1) x latency

The third term is what a ring's all-reduce sends over each link (Patarasuk and Yuan 2009). Here
gloo's bandwidth and latency are fitted to its times for a small and a large tensor, compute is
measured on one process, and step(2) is then measured and held against the prediction. The
predictions for GPUs take compute and links from the arguments: they are no measurements.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch

from common import machine_facts, parser, print_table, write_result
from lacewing.engine.losses import make_loss
from lacewing.engine.step import StepResult, Together, train_step
from lacewing.training.distributed import Team, joined

REPEATS = 15
PREDICTED = (8, 64, 512)
SMALL, LARGE = 1_000, 8_000_000
"""Numbers of the tensors whose sums are timed."""


@dataclass(frozen=True)
class Link:
    """What an all-reduce of two processes costs."""

    bytes_per_second: float
    latency_seconds: float


def all_reduce_seconds(link: Link, processes: int, size: float) -> float:
    """A ring's time for `size` bytes."""
    sent = 2 * (processes - 1) / processes * size
    return sent / link.bytes_per_second + 2 * (processes - 1) * link.latency_seconds


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after two that are not counted."""
    seconds = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:])


def measure(arguments: argparse.Namespace, team: Team) -> dict[str, float]:
    """Seconds of a step of this team, and of sums of two sizes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = timm.create_model(arguments.model, num_classes=102)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    images = torch.randn(arguments.images, 3, arguments.size, arguments.size)
    labels = torch.zeros(arguments.images, dtype=torch.int64)
    weights = list(model.parameters())

    def combine(result: StepResult) -> StepResult:
        team.most(0, 0, 0, 0)
        team.add_up([weight.grad for weight in weights if weight.grad is not None])
        return result

    whole = Together(arguments.images * team.ranks.world, combine)
    together = None if team.alone else whole
    loss = make_loss()

    def step() -> None:
        train_step(model, optimizer, None, loss, [(images, labels)], nullcontext, together=together)

    found = {
        "step_seconds": timed(step, arguments.repeats),
        "gradient_bytes": float(sum(weight.numel() * 4 for weight in weights)),
    }
    if not team.alone:
        for name, count in (("small", SMALL), ("large", LARGE)):
            tensor = torch.ones(count)
            found[f"{name}_seconds"] = timed(
                lambda tensor=tensor: team.add_up([tensor]), arguments.repeats
            )
        found["agree_seconds"] = timed(lambda: team.most(0, 0, 0, 0), arguments.repeats)
    return found


def in_processes(arguments: argparse.Namespace, count: int, file: Path) -> dict[str, Any]:
    """What `count` processes measured, as the first tells it."""
    pids = []
    for rank in range(count):
        pid = os.fork()
        if pid == 0:
            os.environ |= {
                "RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank),
                "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(arguments.port),
            }  # fmt: skip
            with joined() as team:
                found = measure(arguments, team)
                if team.leads:
                    file.write_text(json.dumps(found))
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    return json.loads(file.read_text())


def fitted(found: dict[str, float]) -> Link:
    """gloo's link on this machine, from two sizes of two processes."""
    size = 4 * (LARGE - SMALL)
    bandwidth = size / (found["large_seconds"] - found["small_seconds"])
    latency = (found["small_seconds"] - 4 * SMALL / bandwidth) / 2
    return Link(bandwidth, max(0.0, latency))


def predictions(arguments: argparse.Namespace, gradient_bytes: float) -> list[dict[str, float]]:
    """Steps of many GPUs, by the model."""
    link = Link(arguments.gpu_link * 1e9, arguments.gpu_latency)
    compute = arguments.gpu_images / arguments.gpu_rate
    rows = []
    for count in (1, *PREDICTED):
        step = compute + all_reduce_seconds(link, count, gradient_bytes)
        rate = count * arguments.gpu_images / step
        rows.append({
            "processes": count, "step_seconds": step, "images_per_second": rate,
            "efficiency": compute / step,
        })  # fmt: skip
    return rows


def arguments_of() -> argparse.Namespace:
    """What is measured here, and what the predictions for GPUs assume."""
    made = parser(__doc__)
    made.add_argument("--model", default="regnety_002")
    made.add_argument("--images", type=int, default=8, help="of one process's step")
    made.add_argument("--size", type=int, default=96, help="their side in pixels")
    made.add_argument("--port", type=int, default=29577)
    made.add_argument("--gpu-parameters", type=float, default=25.6e6, help="ResNet-50's")
    made.add_argument("--gpu-images", type=int, default=128, help="of one GPU's step")
    made.add_argument("--gpu-rate", type=float, default=1218, help="images/s of one GPU")
    made.add_argument("--gpu-link", type=float, default=12.5, help="GB/s between hosts")
    made.add_argument("--gpu-latency", type=float, default=2e-5, help="seconds")
    given = made.parse_args()
    given.repeats = 3 if given.quick else REPEATS
    return given


def main() -> int:
    """Measure, hold against the model, predict."""
    given = arguments_of()
    with tempfile.TemporaryDirectory() as folder:
        one, two = (in_processes(given, n, Path(folder) / f"{n}.json") for n in (1, 2))
    link = fitted(two)
    expected = one["step_seconds"] + two["agree_seconds"]
    expected += all_reduce_seconds(link, 2, one["gradient_bytes"])
    rows = predictions(given, 4 * given.gpu_parameters)
    print(
        f"gloo here: {link.bytes_per_second / 1e9:.2f} GB/s, latency "
        f"{link.latency_seconds * 1e6:.0f} us, agreeing {two['agree_seconds'] * 1e6:.0f} us"
    )
    print_table(("processes", "step ms", "how"), [
        (1, one["step_seconds"] * 1e3, "measured"),
        (2, expected * 1e3, "by the model"),
        (2, two["step_seconds"] * 1e3, "measured"),
    ])  # fmt: skip
    print(f"the model errs by {expected / two['step_seconds'] - 1:+.0%}")
    print("\nprediction for GPUs, not measured:")
    print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    if not given.quick:
        write_result("scaling", machine_facts(), {
            "settings": {k: v for k, v in vars(given).items() if k != "results"},
            "one": one, "two": two, "two_by_the_model_seconds": expected, "predictions": rows,
        }, given.results)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
