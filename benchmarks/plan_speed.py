"""Planned execution against the plain PyTorch loop, on eight networks.

The plain loop (plain_loop.py) is what most people write: fp32, contiguous, no compilation, the
same network, optimiser and batch, in a process of its own under torch's own settings. The planned
one runs what the trial chose, micro-batch and all, through the
step that training calls. Both take the same images, in turns; the medians are compared. How many
times as fast as in fp32 the device multiplies matrices in a reduced precision is measured too: a
network of convolutions gains about that at most.

On a CUDA device the most memory that either has reserved is compared as well. There the plain loop
convolves in TF32, as torch does by itself. The ratio, and the aim of twice the speed, are against
that; a second loop without TF32 stands beside it.

    python benchmarks/plan_speed.py [--quick] [--device cpu] [--batch 16] [--image-size 128]
                                    [--models NAME[:BATCH] ...]

A trial of 20 s compiles nothing: `--plan-budget 200s --epochs 100000` has time for it, and a run
that is long enough. Several budgets are the models', one after the other. The result is written
anew after each model. One that fails is told, and the others go on.
"""

# ruff: noqa: E402 - the setting must stand before torch is loaded

from lacewing.hardware.process import ready_process

ready_process()  # as `lacewing train` does

import argparse
import gc
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from math import exp, log
from statistics import median
from typing import Any

import torch

from apart import Apart
from common import interleaved, machine_facts, parser, print_table, summary, write_result
from lacewing.config import TrainConfig
from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import find_optimizer, make_optimizer
from lacewing.engine.prepare import compile_model, to_format
from lacewing.engine.step import split_batch, train_step
from lacewing.hardware.backend import Backend
from lacewing.hardware.backends import backend_for
from lacewing.models.build import build_model
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.ways import Way
from lacewing.training.setup import Prepared, Seen, check_words, look, prepare
from lacewing.training.trial import with_trial
from lacewing.values import first_line

MODELS = ("resnet18", "resnet50", "densenet121", "regnety_002", "convnext_atto",
          "mobilenetv2_100", "efficientnet_b0", "tf_efficientnet_lite0")  # fmt: skip
RATE = 1e-3
CPU_SIDE, GPU_SIDE = 2048, 8192
"""Of the matrices that are multiplied: large enough that starting it costs nothing."""


@dataclass(frozen=True)
class Task:
    """One row: a network, the images of a step, and the time of its trial."""

    model: str
    batch: int
    plan_budget: str

    def config(self, flags: argparse.Namespace) -> TrainConfig:
        """As `lacewing train` would take it."""
        return TrainConfig(
            data="sample", model=self.model, pretrained=False, batch_size=self.batch,
            accumulate=True, image_size=flags.image_size, device=flags.device,
            epochs=flags.epochs, plan_budget=self.plan_budget, memory_share=0.8,
        )  # fmt: skip


def tasks_of(flags: argparse.Namespace) -> Iterator[Task]:
    """One for each model; the last budget is that of all others."""
    budgets = chain(flags.plan_budget, repeat(flags.plan_budget[-1]))
    for word, budget in zip(flags.models, budgets, strict=False):
        name, _, batch = word.partition(":")
        yield Task(name, int(batch or flags.batch), budget)


def plain_loops(kind: str) -> dict[str, list[str]]:
    """The loops that are compared with, on a kind of device, and what tells each to plain_loop.py.

    The first is the one that counts.
    """
    return {"plain": [], "plain, no TF32": ["full"]} if kind == "cuda" else {"plain": []}


def let_go(backend: Backend) -> None:
    """Free what a trial or an earlier network has left, which would count as memory."""
    torch.compiler.reset()
    gc.collect()
    backend.empty_cache()


def compare(task: Task, flags: argparse.Namespace, seen: Seen) -> dict[str, Any]:
    """Images per second and peak memory of all, and what the plan chose."""
    backend, number = backend_for(flags.device)
    let_go(backend)
    prepared = with_trial(prepare(task.config(flags), seen=seen))
    plan = prepared.plan
    device = backend.torch_device(number)
    let_go(backend)
    backend.reset_peak(number)
    images = torch.randn(task.batch, 3, flags.image_size, flags.image_size, device=device)
    labels = torch.arange(task.batch, device=device) % 8
    info = find_optimizer(prepared.config.optimizer)
    bench = Bench(
        model=build_model(prepared.info, 8, 0.0, None, flags.image_size),
        make_optimizer=lambda model, kernel: make_optimizer(info, model, RATE, 0.01, kernel=kernel),
        loss=make_loss(),
        images=images,
        labels=labels,
        backend=backend,
        index=number,
        clock=time.perf_counter,
    )
    way = Way(
        precision=plan.precision.value,
        memory_format=plan.memory_format.value,
        kernel=plan.optimizer_kernel.value,
        threads=plan.threads.value,
        images=plan.micro_batch.value,
    )
    bench.configure(way)
    network, optimizer = bench.copy(way.memory_format), bench.optimizer(way)
    network.train()
    forward = compile_model(network, plan.compile.value, print)

    def planned_step() -> None:
        result = train_step(
            forward,
            optimizer,
            backend.grad_scaler(way.precision),
            bench.loss,
            split_batch(to_format(images, way.memory_format), labels, way.images),
            autocast=lambda: backend.autocast(way.precision),
        )
        float(result.loss)  # waits for the device

    words = [task.model, str(flags.image_size), str(task.batch), str(device)]
    with ExitStack() as stack:
        plain = {
            title: stack.enter_context(Apart("plain_loop.py", [*words, *more]))
            for title, more in plain_loops(backend.kind).items()
        }
        calls = {title: one.call for title, one in plain.items()}
        seconds = interleaved({**calls, "planned": planned_step}, flags.rounds, warm_up=2)
        peaks = {title: int(one.call()) for title, one in plain.items()}
    peaks["planned"] = backend.peak_bytes(number) or 0
    is_cuda = backend.kind == "cuda"
    return {
        "model": task.model,
        "batch": task.batch,
        "seconds": {title: summary(values) for title, values in seconds.items()},
        "images_per_second": {title: task.batch / median(seconds[title]) for title in seconds},
        "ratio": median(seconds["plain"]) / median(seconds["planned"]),
        "ratio_without_tf32":
            median(seconds["plain, no TF32"]) / median(seconds["planned"]) if is_cuda else None,
        "peak_bytes": peaks if is_cuda else None,
        "memory": peaks["planned"] / peaks["plain"] if is_cuda else None,
        "compile": plan.compile.reason,
        "way": way_of(prepared),
        "candidates": plan.measured and list(plan.measured.candidates),
    }  # fmt: skip


def way_of(prepared: Prepared) -> str:
    """What the plan chose, in words."""
    plan = prepared.plan
    return (
        f"{plan.precision.value} {plan.memory_format.value} {plan.optimizer_kernel.value}, "
        f"passes of {plan.micro_batch.value}, compile {plan.compile.value}"
    )


def product_ratios(
    backend: Backend, number: int, reduced: Sequence[torch.dtype], side: int
) -> dict[str, float]:
    """How many times as fast as in fp32 square matrices are multiplied in other precisions."""

    def call(one: torch.Tensor) -> None:
        one @ one
        backend.synchronize(number)

    device = backend.torch_device(number)
    ones = {str(dtype): torch.randn(side, side, device=device).to(dtype)
            for dtype in (torch.float32, *reduced)}  # fmt: skip
    calls = {name: partial(call, one) for name, one in ones.items()}
    seconds = {name: median(times) for name, times in interleaved(calls, rounds=7).items()}
    plain = seconds[str(torch.float32)]
    return {name: plain / one for name, one in seconds.items()}


def overall(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of the ratios of all networks; nothing of none."""
    ratios = [row["ratio"] for row in rows]
    if not ratios:
        return {}
    return {"geometric_mean": exp(sum(map(log, ratios)) / len(ratios)), "worst": min(ratios)}


def shown(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A line of the table."""
    rates = row["images_per_second"]
    return (
        row["model"], row["batch"], rates["plain"], rates["planned"], row["ratio"],
        row["ratio_without_tf32"], row["memory"], row["way"], row["compile"],
    )  # fmt: skip


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--device", default="cpu")
    flags.add_argument("--batch", type=int, default=16, help="of models that name none")
    flags.add_argument("--image-size", type=int, default=128)
    flags.add_argument("--rounds", type=int, default=7)
    flags.add_argument("--epochs", type=int, default=10)
    flags.add_argument("--plan-budget", nargs="+", default=["20s"])
    flags.add_argument("--models", nargs="*", default=list(MODELS), metavar="NAME[:BATCH]")
    given = flags.parse_args()
    backend, number = backend_for(given.device)
    side = CPU_SIDE if backend.kind == "cpu" else GPU_SIDE
    if given.quick:
        side = 256  # a CPU without bf16 takes minutes for large ones
        given.rounds, given.plan_budget = 2, ["3s"]
        given.models, given.batch, given.image_size = ["test_resnet", "test_convnext:4"], 8, 64
    facts = machine_facts(given.device)
    products = product_ratios(backend, number, (torch.bfloat16,), side)
    tasks = list(tasks_of(given))
    config = tasks[0].config(given)
    seen = look(config, check_words(config))
    content: dict[str, Any] = {"image_size": given.image_size, "matrix_products": products}
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for task in tasks:
        try:
            rows.append(compare(task, given, seen))
            print(*shown(rows[-1]), sep="  ", flush=True)
        except Exception as error:
            title = f"{task.model}:{task.batch}"
            failed[title] = f"{type(error).__name__}: {first_line(error)}"
            print(f"{title} failed, {failed[title]}", flush=True)
        content |= {**overall(rows), "rows": rows, "failed": failed}
        path = write_result("plan_speed", facts, content, given.results)
    columns = ("model", "batch", "plain", "planned", "ratio", "without TF32", "memory", "way",
               "compile")  # fmt: skip
    print_table(columns, map(shown, rows))
    print("matrix products, times as fast as in fp32:", products)
    print("memory: times the plain loop's; None where it can't be compared")
    if rows:
        print(f"images per second; geometric mean of the ratios {content['geometric_mean']:.2f}, "
              f"worst {content['worst']:.2f}")  # fmt: skip
    print(f"written to {path}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
