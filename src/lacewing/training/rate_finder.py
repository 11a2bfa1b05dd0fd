"""The learning-rate search: a short climb through the rates, and none of it is kept.

Smith 2017, "Cyclical learning rates for training neural networks" (arXiv:1506.01186), section
3.3; the rate is picked as fastai's `valley` does, in the middle of the longest stretch on which
the loss falls.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from lacewing import console
from lacewing.config import TrainConfig
from lacewing.data.batch import Batch
from lacewing.engine.prepare import training_mode
from lacewing.engine.schedules import set_learning_rate
from lacewing.planning.document import save_plan
from lacewing.store.run import write_json
from lacewing.training.adapt import open_monitor
from lacewing.training.bookkeeping import captured
from lacewing.training.loop import remaining
from lacewing.training.recovery import make_room, recoverable_step
from lacewing.training.rollback import put_back
from lacewing.training.session import Session
from lacewing.training.signals import Stop
from lacewing.values import Choice, counted

STEPS = 60
LEAST_STEPS = 20
"""With fewer over the same span, it is chance at which of them the loss falls."""
SHARE = 0.1
"""Of the time to the deadline, for the climb."""
SPAN = 300.0
"""The climb goes from the plan's rate divided by this to its product with it."""
DIVERGED = 4.0
"""A loss of so many times the least one ends the climb."""
SMOOTHING = 0.8
"""Weight of the losses before in the running mean."""


@dataclass(frozen=True)
class Climb:
    """What the search saw, and what it takes from it."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Running mean of the training loss at each rate."""
    chosen: float


def search_if_asked(session: Session) -> None:
    """With `--learning-rate auto`, find the rate and put it into the plan, also on the disk."""
    if not is_asked(session.config):
        return
    found = search(session)
    if isinstance(found, str):
        if session.team.leads:
            sentence = f"{found}: the search chooses none, and the plan's stays"
            session.events.warn("learning-rate", sentence)
        return
    evidence = {"steps": len(found.rates), "lowest": found.rates[0], "highest": found.rates[-1]}
    reason = f"where the loss falls steadily, in {len(found.rates)} steps with rising rates"
    rate = Choice(found.chosen, reason, "measured", evidence)
    session.plan = replace(session.plan, learning_rate=rate)
    if session.team.leads:  # the loss is that of all processes, so each has found the same
        write_json(session.run.rates, asdict(found))
        save_plan(session.plan, session.run.current_plan)
        session.events.add("learning-rate", f"the learning rate is {found.chosen:.2g}: {reason}")


def is_asked(config: TrainConfig) -> bool:
    """Whether the rate is to be searched for: a plan from a file has one, which stays."""
    return config.learning_rate == "auto" and config.plan is None


def search_seconds(config: TrainConfig, step_seconds: float, left: float) -> float:
    """What the search may take, if it is asked for, of so many seconds that are left."""
    if not is_asked(config):
        return 0.0
    return max(0.0, min(STEPS * step_seconds, SHARE * left))


def search(session: Session) -> Climb | str:
    """Train with rising rates until the loss diverges; the session is put back as it was.

    Or why there is nothing to choose by, a clause: the first loss is not finite, against which no
    rate helps, or the time is short. Raises what a training step raises, StoppedError apart.
    """
    started = time.perf_counter()
    before = captured(session)
    assert before is not None  # as none is kept that could stand in for it
    training_mode(session.model, bool(session.config.freeze_norms))
    while (seen := climb(session, started)) is None:
        put_back(session, before)
        make_room(session, "while a step of the search changed the weights", in_update=True)
    put_back(session, before)
    tried, losses, place = seen
    smooth = running_means(losses)
    hurried = place >= len(losses)
    if hurried and len(losses) < LEAST_STEPS:
        return f"the time allows {counted(len(losses), 'step')} with rising rates"
    if not smooth:
        return "the loss is not finite at the lowest rate"
    return Climb(tuple(tried[: len(smooth)]), tuple(smooth), tried[valley(smooth)])


def climb(session: Session, started: float) -> tuple[list[float], list[float], int] | None:
    """The rates that were tried, the loss at each, and the place among all rates that it came to.

    None, in all processes, where a step was torn: the memory ran out while it changed the weights.
    """
    rates = rising(session.plan.learning_rate.value)
    tried: list[float] = []
    losses: list[float] = []
    with console.epoch_progress("learning-rate search", STEPS) as show:
        for batch in endless(session):
            place = session.team.first(lambda: place_at(len(losses), started, session.deadline))
            if place >= STEPS:
                break
            set_learning_rate(session.optimizer, rates[place], 1.0)
            result = recoverable_step(session, batch, Stop())
            if session.team.any(result is None) or result is None:
                return None
            tried.append(rates[place])
            losses.append(float(result.loss))
            session.progress.step += 1
            session.progress.step_in_epoch += 1
            show(place + 1, f"rate {rates[place]:.1e}  loss {losses[-1]:.3f}")
            if diverged(losses):
                break
    return tried, losses, place


def place_at(step: int, started: float, deadline: float) -> int:
    """The place among the rates that the climb has come to: late steps take later ones, so that it
    goes over all of them in its share of the time."""
    seconds = max(1e-9, SHARE * (deadline - started))
    return max(step, int(STEPS * (time.perf_counter() - started) / seconds))


def rising(middle: float) -> list[float]:
    """The rates, in equal ratios."""
    return [middle * SPAN ** (2 * place / (STEPS - 1) - 1) for place in range(STEPS)]


def endless(session: Session) -> Iterator[Batch]:
    """Training batches, epoch after epoch; `remaining` tells what is done without memory."""
    monitor = open_monitor(session)
    while True:
        yield from remaining(session, monitor)
        session.progress.epoch += 1
        session.progress.start_epoch()


def diverged(losses: Sequence[float]) -> bool:
    """Whether the last loss is not finite, or the running mean far above its least value."""
    means = running_means(losses)
    return len(means) < len(losses) or means[-1] > DIVERGED * min(means)


def running_means(losses: Sequence[float]) -> list[float]:
    """Exponential running means without the bias of their start, up to the first NaN or infinity.

    As Adam corrects its averages (Kingma and Ba 2015).
    """
    means, total = [], 0.0
    for count, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            break
        total = SMOOTHING * total + (1 - SMOOTHING) * loss
        means.append(total / (1 - SMOOTHING**count))
    return means


def valley(losses: Sequence[float]) -> int:
    """The place in the middle of the longest falling subsequence of one loss or more.

    A subsequence, not a run: a bump in the loss does not end it.
    """
    lengths, before = [1] * len(losses), [-1] * len(losses)
    for place, loss in enumerate(losses):
        for earlier in range(place):
            if losses[earlier] > loss and lengths[earlier] + 1 > lengths[place]:
                lengths[place], before[place] = lengths[earlier] + 1, earlier
    falling = [max(range(len(losses)), key=lengths.__getitem__)]
    while before[falling[-1]] >= 0:
        falling.append(before[falling[-1]])
    return falling[(len(falling) - 1) // 2]
