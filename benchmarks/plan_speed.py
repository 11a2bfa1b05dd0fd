"""Planned execution against the plain PyTorch loop, on eight networks.

The plain loop (plain_loop.py) is what most people write: fp32, contiguous, no compilation, the
same network, optimiser and batch, in a process of its own under torch's own settings. The planned
one runs what the trial chose, micro-batch and all, through the
step that training calls. Both take the same images, in turns; the medians are compared. How many
times as fast as in fp32 the device multiplies matrices in a reduced precision is measured too: a
network of convolutions gains about that at most. On a CUDA device the most memory that either has
reserved is compared as well.

    python benchmarks/plan_speed.py [--quick] [--device cpu] [--batch 16] [--image-size 128]

A trial of 20 s compiles nothing: `--plan-budget 120s --epochs 100000` has time for it, and a run
that is long enough. Several budgets are the models', one after the other.
"""

# ruff: noqa: E402 - the setting must stand before torch is loaded

from lacewing.hardware.process import ready_process

ready_process()  # as `lacewing train` does

import argparse
import gc
import time
from collections.abc import Sequence
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
from lacewing.hardware.backends import backend_for
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.ways import Way
from lacewing.training.setup import prepare
from lacewing.training.trial import with_trial

MODELS = ("resnet18", "resnet50", "densenet121", "regnety_002", "convnext_atto",
          "mobilenetv2_100", "efficientnet_b0", "tf_efficientnet_lite0")  # fmt: skip
RATE = 1e-3
SIDE = 2048
"""Of the matrices that are multiplied."""


def compare(name: str, plan_budget: str, flags: argparse.Namespace) -> dict[str, Any]:
    """Images per second and peak memory of both, and what the plan chose."""
    config = TrainConfig(
        data="sample", model=name, pretrained=False, batch_size=flags.batch, accumulate=True,
        image_size=flags.image_size, device=flags.device, epochs=flags.epochs,
        plan_budget=plan_budget, memory_share=0.8,
    )  # fmt: skip
    prepared = with_trial(prepare(config))
    plan = prepared.plan
    backend, number = backend_for(plan.device.value)
    device = backend.torch_device(number)
    gc.collect()
    backend.empty_cache()
    backend.reset_peak(number)  # what the trial took is no part of it
    images = torch.randn(flags.batch, 3, flags.image_size, flags.image_size, device=device)
    labels = torch.arange(flags.batch, device=device) % 8
    info = find_optimizer(config.optimizer)
    bench = Bench(
        model=build_model(find_model(name), 8, 0.0, None, flags.image_size),
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

    words = [name, str(flags.image_size), str(flags.batch), str(device)]
    with Apart("plain_loop.py", words) as plain:
        calls = {"plain": plain.call, "planned": planned_step}
        seconds = interleaved(calls, flags.rounds, warm_up=2)
        peaks = {"plain": int(plain.call()), "planned": backend.peak_bytes(number) or 0}
    both = {which: summary(values) for which, values in seconds.items()}
    return {
        "model": name,
        "seconds": both,
        "plain": flags.batch / both["plain"]["median"],
        "planned": flags.batch / both["planned"]["median"],
        "ratio": both["plain"]["median"] / both["planned"]["median"],
        "peak_bytes": peaks if backend.kind == "cuda" else None,
        "memory": peaks["planned"] / peaks["plain"] if backend.kind == "cuda" else None,
        "compile": plan.compile.reason,
        "way": f"{way.precision} {way.memory_format} {way.kernel}, passes of {way.images}, "
        f"compile {plan.compile.value}",
        "candidates": plan.measured and list(plan.measured.candidates),
    }


def product_ratios(
    device: torch.device, reduced: Sequence[torch.dtype], side: int
) -> dict[str, float]:
    """How many times as fast as in fp32 square matrices are multiplied in other precisions."""

    def call(one: torch.Tensor) -> None:
        float((one @ one)[0, 0])  # waits for the device

    ones = {str(dtype): torch.randn(side, side, device=device).to(dtype)
            for dtype in (torch.float32, *reduced)}  # fmt: skip
    calls = {name: partial(call, one) for name, one in ones.items()}
    seconds = {name: median(times) for name, times in interleaved(calls, rounds=7).items()}
    plain = seconds[str(torch.float32)]
    return {name: plain / one for name, one in seconds.items()}


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--device", default=None)
    flags.add_argument("--batch", type=int, default=16)
    flags.add_argument("--image-size", type=int, default=128)
    flags.add_argument("--rounds", type=int, default=7)
    flags.add_argument("--epochs", type=int, default=10)
    flags.add_argument("--plan-budget", nargs="+", default=["20s"])
    flags.add_argument("--models", nargs="*", default=list(MODELS))
    given, side = flags.parse_args(), SIDE
    if given.quick:
        side = 256  # a CPU without bf16 takes minutes for large ones
        given.rounds, given.plan_budget = 2, ["3s"]
        given.models, given.batch, given.image_size = ["test_resnet", "test_convnext"], 8, 64
    facts = machine_facts(given.device or "cpu")
    products = product_ratios(torch.device(given.device or "cpu"), (torch.bfloat16,), side)
    # the last one is that of all others
    budgets = chain(given.plan_budget, repeat(given.plan_budget[-1]))
    rows = [
        compare(name, budget, given) for name, budget in zip(given.models, budgets, strict=False)
    ]
    mean = exp(sum(log(row["ratio"]) for row in rows) / len(rows))
    worst = min(row["ratio"] for row in rows)
    columns = ("model", "plain", "planned", "ratio", "memory", "way", "compile")
    print_table(columns, [[row[column] for column in columns] for row in rows])
    print("matrix products, times as fast as in fp32:", products)
    print("memory: times the plain loop's; None where it can't be compared")
    print(f"images per second; geometric mean of the ratios {mean:.2f}, worst {worst:.2f}")
    content = {"geometric_mean": mean, "worst": worst, "batch": given.batch,
               "image_size": given.image_size, "matrix_products": products,
               "rows": rows}  # fmt: skip
    print(f"written to {write_result('plan_speed', facts, content, given.results)}")


if __name__ == "__main__":
    main()
