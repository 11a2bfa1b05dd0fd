"""Peaks of memory by micro-batch: in this process on a GPU, in a child's on the CPU.

Where RAM runs out, Linux ends a process without a word: here it ends the child, not the run.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import find_optimizer, make_optimizer
from lacewing.hardware.backends import backend_for
from lacewing.hardware.child import ChildError, run_child
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.memory import base_bytes, measure_growing
from lacewing.planning.trial.passes import forget_moments
from lacewing.planning.trial.ways import Way


@dataclass(frozen=True, kw_only=True)
class Task:
    """What the child builds and runs. Plain values."""

    model: str
    classes: int
    image_size: int
    optimizer: str
    way: dict[str, Any]
    """The fields of a Way, but for its images."""
    sizes: tuple[int, ...]
    """Micro-batches, the smallest first."""
    allowed: int | None
    """No pass is tried that is expected to take more bytes."""
    forward: dict[str, Any]
    """The fields of a forward-only Way, which is tried last."""
    freeze_norms: bool
    """Whether BatchNorm keeps its statistics in training."""


@dataclass(frozen=True)
class Peaks:
    """Bytes beyond what the bare process takes."""

    training: dict[int, int]
    """By micro-batch; those that could be measured."""
    evaluation: int = 0
    """That a forward-only pass adds to what stays between the steps."""


def peaks_in_child(task: Task, seconds: float) -> Peaks:
    """Peaks on the CPU; none if they are not there in so many seconds.

    A child that is ended is followed by one without the largest size, in the time that is left.
    """
    started = time.monotonic()
    code = (
        "from lacewing.planning.trial.peaks import report_peaks; "
        f"report_peaks(report, {json.dumps(asdict(task))!r})"
    )
    try:
        found = run_child(code, seconds)
    except ChildError:
        left = seconds - (time.monotonic() - started)
        if len(task.sizes) <= 1 or left <= 0:
            return Peaks({})
        return peaks_in_child(replace(task, sizes=task.sizes[:-1]), left)
    training = {int(size): int(peak) for size, peak in found["training"].items()}
    return Peaks(training, found["evaluation"])


def report_peaks(report: Callable[[Any], None], text: str) -> None:
    """The child's part: build the network, take steps and a forward-only pass, report the peaks."""
    report(asdict(measure(Task(**json.loads(text)))))


def measure(task: Task) -> Peaks:
    """Peaks in this process, beyond what it takes before there is a network."""
    backend, index = backend_for("cpu")
    base = base_bytes(backend, index)
    bench = child_bench(task)
    way = Way(**task.way, images=0)
    # the bench's copy is the network from here on
    bench.copy(way.memory_format)
    bench.model = torch.nn.Identity()
    points = peaks_here(bench, way, task.sizes, base, task.allowed)
    if not points:
        return Peaks({})
    return Peaks(points, added_by_forward(bench, Way(**task.forward), way.memory_format))


def child_bench(task: Task) -> Bench:
    """A bench with random weights and random images: memory is the same for all."""
    info = find_optimizer(task.optimizer)
    backend, index = backend_for("cpu")
    size, count = task.image_size, max(task.sizes)
    return Bench(
        model=build_model(find_model(task.model), task.classes, 0.0, None, size),
        make_optimizer=lambda model, kernel: make_optimizer(info, model, 1.0, 0.0, kernel=kernel),
        loss=make_loss(),
        images=torch.rand(count, 3, size, size),
        labels=torch.arange(count) % task.classes,
        backend=backend,
        index=index,
        clock=lambda: 0.0,
        freeze_norms=task.freeze_norms,
    )


def peaks_here(
    bench: Bench, way: Way, sizes: tuple[int, ...], base: int, allowed: int | None
) -> dict[int, int]:
    """Peaks in this process by micro-batch, as long as they stay within what is allowed."""

    def peak_of(size: int) -> int | None:
        peak = two_steps(bench, replace(way, images=size))
        return None if peak is None else peak - base

    return measure_growing(sizes, peak_of, allowed)


def added_by_forward(bench: Bench, way: Way, weights_format: str) -> int:
    """Bytes that a forward-only pass adds to what stays between the steps; 0 if it is full."""
    bench.free()
    bench.backend.reset_peak(bench.index)
    before = bench.backend.peak_bytes(bench.index) or 0
    try:
        bench.forward(way, weights_format)
    except Exception as error:  # each backend has its own type: it tells which is meant
        if not bench.backend.is_out_of_memory(error):
            raise
        return 0
    return max(0, (bench.backend.peak_bytes(bench.index) or 0) - before)


def two_steps(bench: Bench, way: Way) -> int | None:
    """Highest memory of two steps, the second with the optimiser's state; None if it is full."""
    bench.backend.reset_peak(bench.index)
    try:
        bench.train(way)
        bench.train(way)
    except Exception as error:  # each backend has its own type: it tells which is meant
        if not bench.backend.is_out_of_memory(error):
            raise
        forget_moments(bench)
        return None
    return bench.backend.peak_bytes(bench.index)


def sizes_for(micro: int) -> tuple[int, ...]:
    """Two small micro-batches and the planned one. Of one image BatchNorm has no statistics."""
    return tuple(sorted({max(2, micro // 4), max(2, micro // 2), max(2, micro)}))
