"""Peaks on the CPU, measured in a process of its own.

Where RAM runs out, Linux ends a process without a word: here it ends the child, not the run.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import find_optimizer, make_optimizer
from lacewing.hardware.backends import backend_for
from lacewing.hardware.child import ChildError, run_child
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.memory import base_bytes, fit
from lacewing.planning.trial.ways import Way

SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Task:
    """What the child builds and runs. Plain values."""

    model: str
    classes: int
    image_size: int
    optimizer: str
    precision: str
    memory_format: str
    kernel: str
    threads: int
    sizes: tuple[int, ...]
    """Micro-batches, the smallest first."""
    allowed: int | None
    """No pass is tried that is expected to take more bytes."""
    deterministic: bool = False


def peaks_in_child(task: Task) -> dict[int, int]:
    """Bytes by micro-batch beyond what the bare process takes; those that could be measured.

    A child that is ended tells what it had measured by then: nothing, so the sizes are tried
    again without the largest.
    """
    code = (
        "from lacewing.planning.trial.child import report_peaks; "
        f"report_peaks(report, {json.dumps(asdict(task))!r})"
    )
    try:
        found = run_child(code, SECONDS)
    except ChildError:
        if len(task.sizes) <= 1:
            return {}
        return peaks_in_child(Task(**{**asdict(task), "sizes": task.sizes[:-1]}))
    return {int(size): int(peak) for size, peak in found.items()}


def report_peaks(report: Callable[[Any], None], text: str) -> None:
    """The child's part: build the network, take two steps at each size, report the peaks."""
    task = Task(**json.loads(text))
    report(measure(task))


def measure(task: Task) -> dict[int, int]:
    """Peak bytes by micro-batch in this process, beyond what it takes at the start."""
    backend, index = backend_for("cpu")
    backend.configure(task.precision, task.threads, task.deterministic)
    base = base_bytes(backend, index)
    network = build_model(
        find_model(task.model), task.classes, dropout=0.0, weights=None, image_size=task.image_size
    )
    info = find_optimizer(task.optimizer)
    bench = Bench(
        model=network,
        make_optimizer=lambda model, kernel: make_optimizer(info, model, 1.0, 0.0, kernel=kernel),
        loss=make_loss(),
        images=torch.rand(max(task.sizes), 3, task.image_size, task.image_size),
        labels=torch.arange(max(task.sizes)) % task.classes,
        backend=backend,
        index=index,
        clock=lambda: 0.0,
    )
    # the bench's own copy is the network from here on
    bench.copy(task.memory_format)
    bench.model = torch.nn.Identity()
    del network
    return growing(bench, task, base)


def growing(bench: Bench, task: Task, base: int) -> dict[int, int]:
    """The peaks, as long as the line through them stays within what is allowed."""
    points: dict[int, int] = {}
    for size in sorted(task.sizes):
        too_much = (
            len(points) > 1
            and task.allowed is not None
            and fit(points).bytes_for(size) > task.allowed
        )
        if too_much:
            break
        peak = peak_of(bench, task, size)
        if peak is None:
            break
        points[size] = peak - base
    return points


def peak_of(bench: Bench, task: Task, size: int) -> int | None:
    """Highest memory of two steps, the second of which has the optimiser's state; None if full."""
    way = Way(
        precision=task.precision,
        memory_format=task.memory_format,
        kernel=task.kernel,
        threads=task.threads,
        images=size,
    )
    bench.backend.reset_peak(bench.index)
    try:
        bench.train(way)
        bench.train(way)
    except Exception as error:  # each backend has its own type: it tells which is meant
        if not bench.backend.is_out_of_memory(error):
            raise
        return None
    return bench.backend.peak_bytes(bench.index)


def sizes_for(micro: int, least: int = 2) -> tuple[int, ...]:
    """A few small micro-batches and the planned one."""
    few: Sequence[int] = (max(least, micro // 4), max(least, micro // 2), micro)
    return tuple(sorted({min(size, micro) for size in few}))
