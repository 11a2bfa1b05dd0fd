"""What a batch takes to be made, and how it is varied the fastest.

Where Triton compiles for the device, its kernels vary the same images as tensor operations do:
they must make the same pixels, and be faster.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lacewing.data.batch import Batch
from lacewing.data.train_loader import TrainLoader
from lacewing.planning.trial.findings import Varied
from lacewing.planning.trial.race import WORTH

LAPS = 3
"""Batches of each way: the first decodes, or compiles; of the others the faster one counts."""
FARTHEST = 1e-3
"""Mean difference of normalised pixels: rounding shows 1e-7, what is wrong about 1."""


@dataclass(frozen=True)
class Made:
    """A batch, and seconds per image of making it."""

    batch: Batch
    decode_seconds: float
    """In one thread."""
    prepare_seconds: float
    """Once it is decoded, in one of the threads that decode."""
    augment_seconds: float
    """In the thread that trains."""


def time_batches(loader: TrainLoader, wait: Callable[[], None], clock: Callable[[], float]) -> Made:
    """The same batch in several epochs: decoded in the first, only prepared and varied later.

    `wait` waits for the device.
    """
    made, prepared = [], []
    for epoch in range(LAPS):
        started, waited = clock(), loader.wait_seconds
        batch = next(loader.epoch(epoch))
        wait()
        made.append(clock() - started)
        # what threads do, if there are any; by its own clock, which no other makes longer
        prepared.append(min(loader.wait_seconds - waited, made[-1]))
    preparing, count = min(prepared[1:]), len(batch.rows)
    return Made(
        batch,
        decode_seconds=max(0.0, prepared[0] - preparing) / count,
        prepare_seconds=preparing / count,
        augment_seconds=max(0.0, min(made[1:]) - preparing) / count,
    )


def time_kernels(
    open_loader: Callable[[], TrainLoader],
    plain: Made,
    wait: Callable[[], None],
    clock: Callable[[], float],
) -> Varied:
    """The kernels on the images that tensor operations made `plain` of."""

    try:
        made = time_batches(open_loader(), wait, clock)
        difference = float((made.batch.images - plain.batch.images).abs().mean())
    except Exception as error:  # a compiler or a driver raises anything at all
        lines = str(error).strip().splitlines() or [""]
        return Varied(by="kernel", out=f"{type(error).__name__}: {lines[0][:120]}")
    # written so that a difference that is no number is wrong too
    if not difference <= FARTHEST:
        return Varied(by="kernel", out="its pixels are wrong")
    return Varied(by="kernel", seconds=made.augment_seconds)


def fastest(varied: Sequence[Varied]) -> Varied:
    """The first, which are tensor operations, unless another is faster by more than noise."""
    best = varied[0]
    for other in varied[1:]:
        if other.seconds is not None and other.seconds < WORTH * (best.seconds or 0.0):
            best = other
    return best
