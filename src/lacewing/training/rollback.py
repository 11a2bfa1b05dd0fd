"""A loss that is not finite: back to the last good state, at half the learning rate."""

from dataclasses import replace

from lacewing.errors import TrainingError
from lacewing.training.checkpoint import forget_newer
from lacewing.training.history import forget_after
from lacewing.training.meter import NotFiniteError
from lacewing.training.session import Session
from lacewing.training.state import restore

MAX_ROLLBACKS = 3
"""After so many of them in one run something else than the learning rate is wrong."""
RATE_FACTOR = 0.5


def roll_back(session: Session, error: NotFiniteError) -> None:
    """Make the session what it was at its last snapshot, with half the learning rate.

    Raises TrainingError after `MAX_ROLLBACKS` times, or where there is no snapshot.
    """
    now = session.progress
    good = session.team.first(lambda: session.keeper.good)
    if good is None or now.rollbacks >= MAX_ROLLBACKS:
        raise TrainingError(explanation(session, error))
    session.optimizer.zero_grad(set_to_none=True)
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
        rollbacks=now.rollbacks + 1,
        rate_factor=now.rate_factor * RATE_FACTOR,
        overflows=0,
        micro_batch=now.micro_batch,
        elapsed_seconds=now.elapsed_seconds,
    )
    session.keeper.wait()
    if session.team.leads:
        forget_newer(session.run, before.step)
        forget_after(session.run, before.epoch)
    session.events.warn(
        "rollback",
        f"{error}: back to step {before.step}, with the learning rate x "
        f"{session.progress.rate_factor:g}",
        step=now.step,
        back_to=before.step,
        rate_factor=session.progress.rate_factor,
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
