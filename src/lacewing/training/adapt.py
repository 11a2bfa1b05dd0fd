"""Carry out what the monitor asks for: each change an event with its reason.

Only what leaves the result as it is may change: decoding threads, and the size of the passes
that make up a step. The order of the images, the batch and the learning rate stay.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lacewing.engine.norms import is_batchnorm
from lacewing.hardware.backend import Memory
from lacewing.hardware.limits import usable_cores
from lacewing.performance_config import LEAST_BATCH_FOR_BATCHNORM
from lacewing.planning.rules.loading import threads_within, varied_bytes
from lacewing.training.monitor import (
    TIGHT_SHARE,
    CliffWatch,
    LoaderWatch,
    MemoryWatch,
    Window,
)
from lacewing.training.recovery import let_go_of_graphs

if TYPE_CHECKING:
    from lacewing.training.session import Session


@dataclass
class Monitor:
    """The watches, and where the present window began."""

    loader: LoaderWatch
    cliff: CliffWatch | None
    """None where the driver fails instead of swapping."""
    memory: MemoryWatch | None
    """On the CPU only, where the system ends who takes too much; elsewhere an allocation fails."""
    started: float = 0.0
    waited: float = 0.0
    step: int = 0
    micro_batch: int = 0
    """Of the windows so far."""
    at_least: bool = False
    """Whether it was said that passes can't be smaller."""

    def forget_speeds(self) -> None:
        """Steps to come are of another kind, and so are their times."""
        self.loader.forget_speeds()
        if self.cliff is not None:
            self.cliff.forget_speeds()

    def restart(self, session: "Session") -> None:
        """Begin a window here: what came before was no training, or is seen already."""
        self.started = time.perf_counter()
        self.waited = session.train_loader.wait_seconds
        self.step = session.progress.step


def open_monitor(session: "Session") -> Monitor:
    """The watches for a session. What the user has set is not touched, nor what memory forbids."""
    plan, capabilities = session.plan, session.backend.capabilities
    workers = session.train_loader.loading.workers  # none where the rate's search ran out of memory
    is_planned = workers == plan.workers.value
    is_open = is_planned and plan.workers.source != "user" and session.config.plan is None
    loader = LoaderWatch(workers, most_threads(session), not is_open, 1 if is_open else workers)
    monitor = Monitor(
        loader=loader,
        cliff=CliffWatch() if capabilities.spills else None,
        memory=MemoryWatch() if session.backend.kind == "cpu" else None,
    )
    monitor.restart(session)
    return monitor


def most_threads(session: "Session") -> int:
    """A core each; on a CPU no more than the plan's memory has room for, as each holds a batch."""
    plan = session.plan
    cores = max(1, usable_cores().value // session.team.ranks.local_world)
    if session.backend.kind != "cpu" or plan.memory_bytes.value is None:
        return cores
    batch_bytes = varied_bytes(plan.batch.value, plan.image_size.value)
    return min(cores, threads_within(batch_bytes, plan.memory_bytes.value))


def adapt(session: "Session", monitor: Monitor) -> None:
    """Look at the window that ends here and change what it shows to be wrong."""
    window = window_of(session, monitor)
    if not window.steps:
        return
    if session.progress.micro_batch != monitor.micro_batch:
        # other passes take other times, and a step of the window may have been tried twice
        monitor.micro_batch = session.progress.micro_batch
        monitor.forget_speeds()
    for watch in (monitor.cliff, monitor.memory):
        reason = None if watch is None else watch.see(window)
        if session.team.any(reason is not None):  # then all do
            make_room(session, monitor, reason or "another process has too little memory")
            if watch is not None and watch is monitor.cliff:
                watch.halved(window)  # it asks whether passes to come are faster
                monitor.micro_batch = session.progress.micro_batch
                monitor.loader.forget_speeds()
    more = monitor.loader.see(window)
    if more is not None:
        use_workers(session, *more)
    monitor.restart(session)


def window_of(session: "Session", monitor: Monitor) -> Window:
    """The steps since the window's beginning. The loss must have been read: it waits for them."""
    steps = session.progress.step - monitor.step
    return Window(
        steps=steps,
        images=steps * session.train_loader.batch_size,
        seconds=time.perf_counter() - monitor.started,
        waited=session.train_loader.wait_seconds - monitor.waited,
        free_share=None if monitor.memory is None else free_share(session),
    )


def free_share(session: "Session") -> float | None:
    """The free share of the memory, once what this process keeps unused is given back."""
    share = share_of(session.backend.memory(session.device_index))
    if share is not None and share < TIGHT_SHARE:
        session.backend.empty_cache()
        share = share_of(session.backend.memory(session.device_index))
    return share


def share_of(memory: Memory) -> float | None:
    """The free share of a memory; None where it can't be asked."""
    free, total = memory.free_bytes, memory.total_bytes
    return free / total if free is not None and total else None


def load_alone(session: "Session", monitor: Monitor) -> None:
    """Where loading has exhausted the memory: give back what is free, load nothing ahead."""
    monitor.loader.least = 0
    monitor.loader.let_go()
    session.backend.empty_cache()
    reason = f"out of memory in loading the images of step {session.progress.step}"
    use_workers(session, 0, reason, kind="out-of-memory")


def no_room_to_load(session: "Session") -> str:
    """The sentence for the images of a step that can't be loaded, even when nothing is ahead."""
    plan = session.plan
    return (
        f"The memory ran out in loading the {plan.batch.value} images of step "
        f"{session.progress.step}, though nothing is loaded ahead: close other programs, use a "
        "smaller --batch-size or --image-size."
    )


def use_workers(session: "Session", workers: int, reason: str, kind: str = "loader") -> None:
    """Decode in another number of threads from the next batch on."""
    old = session.train_loader.use_workers(workers)
    session.events.add(
        kind,
        f"decoding threads {old} -> {workers}: {reason}",
        step=session.progress.step,
        field="workers",
        old=old,
        new=workers,
    )


def make_room(session: "Session", monitor: Monitor, reason: str) -> None:
    """Let go of decoding threads where the memory is theirs too, on a CPU; then halve the passes.

    Where one process has threads to let go, no other halves its passes yet: they are all alike.
    """
    loader = monitor.loader
    has_spare = monitor.memory is not None and loader.workers > loader.least
    if not session.team.any(has_spare):
        reduce(session, monitor, reason)
    elif has_spare:
        workers = loader.let_go()
        use_workers(session, workers, reason)
        loading = session.train_loader.loading  # else as many batches as before stay ahead
        session.train_loader.loading = replace(loading, prefetch=workers)
        session.backend.empty_cache()


def reduce(session: "Session", monitor: Monitor, reason: str) -> None:
    """Halve the passes, as if the memory had run out; said once where they can't be smaller."""
    progress = session.progress
    old, new = progress.micro_batch, progress.micro_batch // 2
    if new < least_images(session):
        if not monitor.at_least:
            session.events.warn(
                "memory",
                f"{reason}, and passes of {old} images are as small as they may be: close other "
                "programs, or begin anew with a smaller --image-size or --model",
                step=progress.step,
            )
        monitor.at_least = True
        return
    progress.micro_batch = new
    let_go_of_graphs(session)
    session.backend.empty_cache()
    session.events.add(
        "micro-batch",
        f"micro-batch {old} -> {new}, same images per step: {reason}",
        step=progress.step,
        field="micro_batch",
        old=old,
        new=new,
    )


def least_images(session: "Session") -> int:
    """Of a pass: one, or what BatchNorm needs for its statistics where it makes them."""
    norms = [module for module in session.model.modules() if is_batchnorm(module)]
    makes = any(norm.training for norm in norms)
    return LEAST_BATCH_FOR_BATCHNORM if makes else 1
