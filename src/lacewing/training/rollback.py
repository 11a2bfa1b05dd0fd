"""Back to the last good state: at half the learning rate after a loss that is not finite, and in
smaller passes after a step that was torn where the memory ran out.
"""

from dataclasses import replace

from lacewing.errors import TrainingError
from lacewing.training.checkpoint import forget_newer
from lacewing.training.history import forget_after
from lacewing.training.meter import NotFiniteError
from lacewing.training.recovery import make_room
from lacewing.training.session import Session
from lacewing.training.state import Snapshot, restore

MAX_ROLLBACKS = 3
"""After so many of them in one run something else than the learning rate is wrong."""
RATE_FACTOR = 0.5


class TornError(Exception):
    """The memory ran out while a step changed the weights: each may be the old or the new one."""

    def __init__(self, step: int) -> None:
        super().__init__(f"step {step} was torn")
        self.step = step


def roll_back(session: Session, error: NotFiniteError) -> None:
    """Make the session what it was at its last snapshot, with half the learning rate.

    Raises TrainingError after `MAX_ROLLBACKS` times, or where there is no snapshot.
    """
    now = session.progress
    good = session.team.first(lambda: session.keeper.good)
    if good is None or now.rollbacks >= MAX_ROLLBACKS:
        raise TrainingError(explanation(session, error))
    go_back(session, good)
    session.progress.rollbacks = now.rollbacks + 1
    session.progress.rate_factor = now.rate_factor * RATE_FACTOR
    session.progress.overflows = 0
    session.events.warn(
        "rollback",
        f"{error}: back to step {good.step}, with the learning rate x "
        f"{session.progress.rate_factor:g}",
        step=now.step,
        back_to=good.step,
        rate_factor=session.progress.rate_factor,
    )


def repeat_since_snapshot(session: Session, error: TornError) -> None:
    """Make the session what it was at its last snapshot: its steps are repeated, in smaller passes.

    The same samples at the same learning rate. Raises TrainingError where passes can't be smaller.
    """
    good = session.team.first(lambda: session.keeper.good)
    assert good is not None  # the loop begins with one
    go_back(session, good)
    when = f"while step {error.step} changed the weights, back to step {good.step}"
    make_room(session, when, in_update=True)


def go_back(session: Session, good: Snapshot) -> None:
    """Make the session what it was at a snapshot, and forget the files of what came since."""
    put_back(session, good)
    session.keeper.wait()
    if session.team.leads:
        forget_newer(session.run, good.step)
        forget_after(session.run, good.epoch)


def put_back(session: Session, good: Snapshot) -> None:
    """Make the session what it was at a snapshot, but for what it has learnt of rate and memory."""
    now = session.progress
    session.optimizer.zero_grad(set_to_none=True)
    session.optimizer.state.clear()  # of a torn update half of it may be there
    session.backend.empty_cache()
    # a new one: the old one remembers it where the gradients of a torn step are unscaled
    session.scaler = session.backend.grad_scaler(session.plan.precision.value)
    before = restore(
        good,
        session.model,
        session.optimizer,
        session.scaler,
        session.schedule,
        session.average,
    )
    session.progress = replace(
        before,
        rollbacks=now.rollbacks,
        rate_factor=now.rate_factor,
        micro_batch=now.micro_batch,
        elapsed_seconds=now.elapsed_seconds,
    )


def explanation(session: Session, error: NotFiniteError) -> str:
    """Why training ends, and what to try."""
    tried = (
        f", also at {session.progress.rate_factor:g} of the learning rate"
        if session.progress.rollbacks
        else ""
    )
    return (
        f"{error}{tried}: use a lower --learning-rate, --clip-norm 1, or --precision fp32; if that "
        "does not help, `lacewing data check` looks for broken images."
    )
