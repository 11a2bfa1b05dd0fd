"""Passes that may fail, and whose results are compared with full precision."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from lacewing.planning.trial.bench import Bench, Pass, without_dropout
from lacewing.planning.trial.context import Trial, TrialError
from lacewing.planning.trial.ways import Way

Found = TypeVar("Found")

FULL = "the memory is full"
LOSS_TOLERANCE = 0.05
"""Relative difference of a pass's loss from full precision's that is not rounding any more."""


def guarded(bench: Bench, run: Callable[[], Found]) -> Found | str:
    """What `run` gives, or the reason for which it failed, a clause."""
    try:
        return run()
    except Exception as error:  # a driver raises anything at all
        is_full = bench.backend.is_out_of_memory(error)
        lines = str(error).strip().splitlines() or [""]
        reason = FULL if is_full else f"{type(error).__name__}: {lines[0][:120]}"
    # outside the except block: the traceback held the pass's tensors
    forget_moments(bench)
    bench.free()
    return reason


def forget_moments(bench: Bench) -> None:
    """After a step that failed: half a state may be left, on which the next one would fail too."""
    for optimizer in bench.optimizers.values():
        optimizer.state.clear()


def training_pass(trial: Trial, first_images: int) -> Callable[[Way], float | str]:
    """Runs one training pass: its seconds, or why the way is out.

    The first of each way is of `first_images`.
    """

    def first(way: Way) -> Pass:
        # masks differ between precisions, and then the losses do
        with without_dropout(trial.bench.ready(way.memory_format)):
            return trial.bench.train(way)

    return checked(trial, first, trial.bench.train, first_images, is_forward=False)


def forward_pass(trial: Trial, trained: Way, first_images: int) -> Callable[[Way], float | str]:
    """The same for forward-only passes of the network as it is trained."""

    def run(way: Way) -> Pass:
        return trial.bench.forward(way, trained.memory_format)

    return checked(trial, run, run, first_images, is_forward=True)


def checked(
    trial: Trial,
    first: Callable[[Way], Pass],
    run: Callable[[Way], Pass],
    first_images: int,
    *,
    is_forward: bool,
) -> Callable[[Way], float | str]:
    """`run`, but `first` for the first pass of a way, whose loss is compared."""
    known: set[Way] = set()

    def timed(way: Way) -> float | str:
        is_new = way not in known
        known.add(way)
        sized = replace(way, images=first_images) if is_new else way
        found = guarded(trial.bench, lambda: (first if is_new else run)(sized))
        if isinstance(found, str):
            return found
        if not is_forward:
            trial.budget.saw(found.seconds / sized.images)
        if is_new:
            expected = expected_loss(trial, first, sized, found, is_forward)
            if is_off(found.loss, expected):
                trial.bench.forget(way.memory_format)
                return f"its loss is {found.loss:.3g}, and {expected:.3g} in full precision"
        return found.seconds

    return timed


def is_off(loss: float, expected: float, tolerance: float = LOSS_TOLERANCE) -> bool:
    """Whether two losses on the same images differ by more than rounding; one that is no number
    does."""
    return not abs(loss - expected) <= tolerance * max(abs(expected), 1e-3)


def expected_loss(
    trial: Trial, first: Callable[[Way], Pass], way: Way, found: Pass, is_forward: bool
) -> float:
    """The loss in full precision and plain format. Raises TrialError if that does not work."""
    if is_forward not in trial.expected:
        plain = replace(way, precision="fp32", memory_format="contiguous")
        reference = found if plain == way else guarded(trial.bench, lambda: first(plain))
        if isinstance(reference, str):
            raise TrialError(reference)
        trial.expected[is_forward] = reference.loss
    return trial.expected[is_forward]
