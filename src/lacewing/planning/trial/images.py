"""How many images a timed pass has: as many as the memory and the time allow."""

from dataclasses import dataclass, replace
from math import isfinite

from lacewing.planning.trial import memory, sizes
from lacewing.planning.trial.context import Trial, TrialError
from lacewing.planning.trial.memory import MemoryModel
from lacewing.planning.trial.passes import FULL, guarded
from lacewing.planning.trial.ways import Way, kernel_ways, planned, reference, training_ways

COUNTED_SHARE = 0.9
"""Of the allowed memory: what passes of the trial may be counted on to take."""
COUNTING_IMAGES = 2
RACED_IMAGES = 32
"""Enough to tell ways apart; a larger pass would only take longer."""
LEAST_IMAGES = 4
"""Of a timed pass, however short the time; also of the pass that tells how long others take."""
PASSES = 3
"""Of each way that a race begins: to warm up, to be timed, and to be compared with."""


@dataclass(frozen=True)
class PassSizes:
    """Images of the passes of a race."""

    first: int
    """Of each way's first pass, which warms up and whose loss is compared."""
    timed: int
    """Of all others."""

    @property
    def least(self) -> int:
        """What each way passes over at the least."""
        return self.first + self.timed


LONG_SECONDS = 0.5
"""Of a pass: to prepare for a new size took up to 0.3 on two slow cores."""
FORWARD_TO_STEP = 1 / 3
"""What a forward-only pass takes of a training step: the backward pass takes two more."""


def images_that_fit(trial: Trial) -> int:
    """Images of a timed pass: the micro-batch, or what the memory is counted on to hold.

    0 where that is none and no pass was run: on the CPU the system might end this process, and
    elsewhere the memory was full. Where the bench can't hold all that is raced, it is told to keep
    one copy of the network at a time.
    """
    wanted, allowed = wanted_images(trial), trial.plan.memory_bytes.value
    if allowed is None:
        return wanted
    is_cpu, room = trial.bench.backend.kind == "cpu", int(COUNTED_SHARE * allowed)
    counted, was_run = count_pass(trial, reference(trial.plan), by_shapes=is_cpu)
    weights = round(counted.fixed_bytes / memory.STATES)
    most = counted.largest(room - copies_beside(trial) * weights)
    if most < wanted:
        trial.bench.lean = True
        most = counted.largest(room - weights)  # the network as it was built
    least = 1 if was_run and not is_cpu else 0
    return max(least, min(wanted, most))


def copies_beside(trial: Trial) -> int:
    """As many times the weights as a bench that keeps all takes beside one network in training."""
    capabilities = trial.bench.backend.capabilities
    ways = training_ways(trial.plan, trial.config, trial.device, capabilities)
    formats = len({"contiguous"}.union(way.memory_format for way in ways))
    kernels = len(kernel_ways(planned(trial.plan), trial.job, trial.device, capabilities))
    # as it was built, weights and gradients in each format, two moments of each optimiser
    return 1 + 2 * formats + 2 * (formats + kernels - 1) - memory.STATES


def wanted_images(trial: Trial) -> int:
    """Images of a timed pass where the memory holds them."""
    micro = trial.plan.micro_batch.value
    if not trial.config.accumulate:
        return micro
    return max(micro, min(RACED_IMAGES, most_images(trial)))


def most_images(trial: Trial) -> int:
    """The largest micro-batch that the plan may get by what is measured."""
    if trial.config.batch_size == "auto":  # its sizes end where the memory or the gain does
        return trial.plan.micro_batch.value
    return sizes.largest(trial.plan, trial.config, trial.tier, trial.job)


def count_memory(trial: Trial, way: Way, *, has_run: bool = False) -> MemoryModel:
    """The memory that a way is counted on to take. Raises TrialError if it can't run at all.

    On the CPU by shapes alone unless passes of the way were run here (`has_run`): one that the
    memory does not hold would end this process.
    """
    is_cpu = trial.bench.backend.kind == "cpu"
    return count_pass(trial, way, by_shapes=is_cpu and not has_run)[0]


def count_pass(trial: Trial, way: Way, *, by_shapes: bool) -> tuple[MemoryModel, bool]:
    """What a pass is counted on to take, and whether one was run for it. Raises TrialError.

    A network that looks at values can't be counted by shapes, and a pass that the memory does not
    hold by nothing else.
    """
    found = counted(trial, way, by_shapes=by_shapes)
    if not isinstance(found, str):
        return found, not by_shapes
    if by_shapes or found == FULL:
        other = counted(trial, way, by_shapes=not by_shapes)
        if not isinstance(other, str):
            return other, by_shapes
        found = other if by_shapes else found
    raise TrialError(found)


def counted(trial: Trial, way: Way, *, by_shapes: bool) -> MemoryModel | str:
    """What a pass of a few images keeps, with the weights, or why it can't be counted."""
    bench = trial.bench
    bench.configure(way)
    images, labels = bench.batch(min(COUNTING_IMAGES, way.images))
    found = guarded(
        bench,
        lambda: memory.counted(
            bench.ready(way.memory_format),
            images,
            labels,
            bench.loss,
            lambda: bench.backend.autocast(way.precision),
            by_shapes=by_shapes,
        ),
    )
    made = bench.copies.get(way.memory_format)
    if by_shapes and made is not None and memory.keeps_shapes(made):
        bench.forget(way.memory_format)  # a later pass would meet tensors without values
    return found


def time_image(trial: Trial, fitting: int) -> float:
    """Seconds of a training step per image as the rules would run it; 0 if it can't be run.

    By it the length of the run is known, and with it the trial's time, before a race begins.
    """
    # a GPU takes about as long for a few images as for many
    images = min(LEAST_IMAGES, fitting) if trial.bench.backend.kind == "cpu" else fitting
    way = replace(planned(trial.plan), images=images)
    for _ in range(2):  # the first warms up
        found = guarded(trial.bench, lambda: trial.bench.train(way))
    if isinstance(found, str):
        return 0.0
    if not isfinite(found.loss):
        trial.bench.forget(way.memory_format)
        return 0.0
    trial.budget.saw(found.seconds / images)
    return found.seconds / images


def passes_in_time(
    trial: Trial, images: int, ways: int, image_seconds: float, share: float
) -> PassSizes:
    """Passes of `images`, or of as many as let every way of a race run in a share of the time.

    Small passes take longer by the image, and not by as much in every way. So where time is short
    on a CPU, it goes into a single larger pass of each way, after a small one that warms up: if it
    is so long that little of it goes into preparing for the new size. Other devices search for
    algorithms in their first pass of each size.
    """
    if image_seconds == 0.0:
        return PassSizes(images, images)
    each = int(share * trial.budget.limit / (ways * image_seconds))
    if each // PASSES >= images:
        return PassSizes(images, images)
    first = min(images, LEAST_IMAGES)
    single = min(images, max(first, each - first))
    if trial.bench.backend.kind == "cpu" and single * image_seconds >= LONG_SECONDS:
        return PassSizes(first, single)
    fewer = min(images, max(first, each // PASSES))
    return PassSizes(fewer, fewer)
