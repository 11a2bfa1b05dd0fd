"""Peaks of memory by micro-batch: in this process on a GPU, in a child's on the CPU.

Where RAM runs out, Linux ends a process without a word: here it ends the child, not the run.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

import torch

from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import find_optimizer, make_optimizer
from lacewing.hardware.backends import backend_for
from lacewing.hardware.child import ChildError, be_ended_first, run_child
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.memory import base_bytes, measure_growing
from lacewing.planning.trial.passes import forget_moments
from lacewing.planning.trial.ways import Way

REPORT_SECONDS = 3.0
"""Before its time ends, in which a child reports what it has."""
FORWARD_TO_STEPS = 1 / 6
"""What a forward-only pass takes of two training steps."""


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
    eval_image_bytes: float = 0.0
    """That each image of a forward-only pass adds to what stays between the steps."""


def peaks_in_child(task: Task, seconds: float) -> Peaks:
    """Peaks on the CPU; none if they are not there in so many seconds.

    A child that is ended is followed by one without the largest size, in the time that is left.
    """
    if seconds <= REPORT_SECONDS:
        return Peaks({})
    started = time.monotonic()
    until = time.time() + seconds - REPORT_SECONDS
    code = (
        "from lacewing.planning.trial.peaks import report_peaks; "
        f"report_peaks(report, {json.dumps(asdict(task))!r}, {until})"
    )
    try:
        found = run_child(code, seconds)
    except ChildError:
        left = seconds - (time.monotonic() - started)
        if len(task.sizes) <= 1:
            return Peaks({})
        return peaks_in_child(replace(task, sizes=task.sizes[:-1]), left)
    training = {int(size): int(peak) for size, peak in found["training"].items()}
    return Peaks(training, found["eval_image_bytes"])


def report_peaks(report: Callable[[Any], None], text: str, until: float) -> None:
    """The child's part: build the network, take steps and a forward-only pass, report the peaks.

    `until` is `time.time()`'s, which parent and child have in common.
    """
    be_ended_first()
    report(asdict(measure(Task(**json.loads(text)), Deadline(until))))


@dataclass
class Deadline:
    """A time by which to be done; what an image takes is known from the last pass."""

    until: float
    clock: Callable[[], float] = time.time
    began: float = 0.0
    images: int = 0
    """Of the pass that has begun; 0 before the first."""
    image_seconds: float = 0.0

    def allows(self, images: int) -> bool:
        """Whether a pass of so many, which begins now if so, is expected to be done by then."""
        now = self.clock()
        if self.images:
            self.image_seconds = (now - self.began) / self.images
        is_allowed = now + self.image_seconds * images <= self.until
        self.began, self.images = now, images if is_allowed else 0
        return is_allowed


def measure(task: Task, deadline: Deadline) -> Peaks:
    """Peaks in this process, beyond what it takes before there is a network; what time allows."""
    backend, index = backend_for("cpu")
    base = base_bytes(backend, index)
    bench = child_bench(task)
    way = Way(**task.way, images=0)
    # the bench's copy is the network from here on
    bench.copy(way.memory_format)
    bench.model = torch.nn.Identity()
    points = peaks_here(bench, way, task.sizes, base, task.allowed, deadline.allows)
    forward = Way(**task.forward)
    # a forward-only pass takes far less than two steps of as many images
    if not points or not deadline.allows(ceil(FORWARD_TO_STEPS * forward.images)):
        return Peaks(points)
    return Peaks(points, added_by_forward(bench, forward, way.memory_format))


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
    bench: Bench,
    way: Way,
    sizes: tuple[int, ...],
    base: int,
    allowed: int | None,
    has_time: Callable[[int], bool] = lambda _: True,
) -> dict[int, int]:
    """Peaks in this process by micro-batch, as long as they stay within what is allowed.

    `has_time` is asked before each for its images.
    """

    def peak_of(size: int) -> int | None:
        if not has_time(size):
            return None
        peak = two_steps(bench, replace(way, images=size))
        return None if peak is None else peak - base

    return measure_growing(sizes, peak_of, allowed)


def added_by_forward(bench: Bench, way: Way, weights_format: str) -> float:
    """Bytes that each image of a forward-only pass adds to what stays between the steps.

    Where the memory is full, of half as many images, and so on; 0 if a single one does not run.
    """
    bench.free()
    try:
        search(bench, lambda: bench.forward(way, weights_format))
        bench.backend.reset_peak(bench.index)
        before = bench.backend.peak_bytes(bench.index) or 0
        bench.forward(way, weights_format)
        return max(0, (bench.backend.peak_bytes(bench.index) or 0) - before) / way.images
    except Exception as error:  # each backend has its own type: it tells which is meant
        if not bench.backend.is_out_of_memory(error):
            raise
    # outside the except block: the traceback held the pass's tensors
    if way.images == 1:
        return 0.0
    return added_by_forward(bench, replace(way, images=way.images // 2), weights_format)


def two_steps(bench: Bench, way: Way) -> int | None:
    """Highest memory of two steps, the second with the optimiser's state; None if it is full.

    On the CPU of the second alone, where there is a state already.
    """
    try:
        search(bench, lambda: bench.train(way))
        bench.backend.reset_peak(bench.index)
        for _ in range(steps_of(bench, way)):
            bench.train(way)
    except Exception as error:  # each backend has its own type: it tells which is meant
        if not bench.backend.is_out_of_memory(error):
            raise
        forget_moments(bench)
        return None
    return bench.backend.peak_bytes(bench.index)


def steps_of(bench: Bench, way: Way) -> int:
    """How many steps `two_steps` takes beside a device's search."""
    is_there = bench.backend.kind == "cpu" and bench.optimizer(way).state
    return 1 if is_there else 2


def search(bench: Bench, run: Callable[[], object]) -> None:
    """A device's first pass of a size, which is no part of its peak; the memory is given back.

    A GPU searches for algorithms in it and tries each with all the memory that it asks for, unless
    a pass of as many images was timed before. The search makes do with what there is: where this
    pass fails, so would the run's first. A CPU searches nothing.
    """
    if bench.backend.kind == "cpu":
        return
    run()
    bench.free()  # blocks that smaller passes left would count too


def sizes_for(micro: int) -> tuple[int, ...]:
    """Two small micro-batches and the planned one. Of one image BatchNorm has no statistics."""
    return tuple(sorted({max(2, micro // 4), max(2, micro // 2), max(2, micro)}))
