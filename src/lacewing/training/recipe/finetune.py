"""The second stage: fine-tuning from the fitted head, in the time that is left."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lacewing.config import TrainConfig, save_config
from lacewing.engine.schedules import Schedule
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS
from lacewing.planning.document import save_plan
from lacewing.planning.growth import sides_of, with_growth_said
from lacewing.planning.plan import Plan
from lacewing.store.atomic import replacing
from lacewing.training.distributed import Team
from lacewing.training.kept_pixels import place_beside_device
from lacewing.training.loop import has_model
from lacewing.training.rate_finder import search_if_asked, search_seconds
from lacewing.training.recipe.blend import keep_start
from lacewing.training.recipe.length import (
    ENOUGH_EPOCHS,
    MOST_EPOCHS,
    Length,
    choose_length,
    training_sizes,
)
from lacewing.training.recipe.speed import training_speed
from lacewing.training.session import Session, open_session
from lacewing.training.together import share_weights
from lacewing.values import Choice, counted, format_seconds

RATE = 3e-5
"""AdamW's, for 32 images per step, a tenth of what a new head needs. On 1,224 pest photos two
epochs at 2e-4 cost the fitted head 13 points of accuracy, and one at 4e-5 still five."""
WARMUP_SHARE = 0.05


@dataclass
class Hurried:
    """A schedule that keeps up with the clock: late steps take the rates of later ones.

    So the rate has fallen when the time is up, also on a machine that turned out slower than
    it was measured. While the steps are on time it is the schedule itself.
    """

    inner: Schedule
    steps: int
    """Of the whole schedule."""
    team: Team
    """All processes go by the clock of rank 0."""
    started: float
    """On the clock of `time.perf_counter`; so is `deadline`."""
    deadline: float

    def factor(self, step: int) -> float:
        """The inner schedule's factor at the step, or at the clock's place in it."""
        share = (time.perf_counter() - self.started) / (self.deadline - self.started)
        place = max(step, min(self.steps - 1, int(share * self.steps)))
        return self.inner.factor(self.team.first(lambda: place))

    def observe(self, val_loss: float) -> None:
        """Pass it on."""
        self.inner.observe(val_loss)

    def state_dict(self) -> dict[str, Any]:
        """The inner schedule's."""
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inner schedule's."""
        self.inner.load_state_dict(state)


def stretch(session: Session, validation_seconds: float, seconds: float) -> Length | str:
    """How to fine-tune in so many seconds, by a rehearsal, or why not, a clause: they are too few,
    or a step does not fit the memory, which is said at once too."""
    eval_size, batch = session.preprocessing.image_size, session.plan.batch.value
    images = session.train_loader.steps_per_epoch * session.train_loader.batch_size
    if seconds <= 0:
        return too_little(seconds)
    sizes, processes = training_sizes(session.info, eval_size), session.team.ranks.world
    own = training_speed(
        session.model,
        session.backend,
        session.device_index,
        session.plan.execution,
        timed_size(sizes, session.backend.kind),
        -(-batch // processes),
    )
    if own is None:
        lacks = "there is no memory for a step of fine-tuning"
        session.events.add("memory", lacks)
        return lacks
    speed = replace(own, images_per_second=own.images_per_second * processes)
    searching = search_seconds(session.config, speed.seconds(batch, sizes[0]), seconds)
    length = choose_length(
        session.info,
        eval_size,
        images,
        speed,
        validation_seconds,
        seconds - searching,
        asked_epochs(session.config),
        grows=session.config.progressive_resizing,
    )
    return length or too_little(seconds)


def too_little(seconds: float) -> str:
    """That so many seconds are not enough for fine-tuning, a clause."""
    left = format_seconds(max(0.0, seconds))
    return f"{left} left: too little for {ENOUGH_EPOCHS} epochs of fine-tuning"


def timed_size(sizes: Sequence[int], kind: str) -> int:
    """The side at which a step is timed, of some from the largest on: a GPU takes about as long
    for a small image as for a larger one."""
    return sizes[-1] if kind == "cpu" else sizes[0]


def asked_epochs(config: TrainConfig) -> int | None:
    """The epochs that were asked for; None for the default, which leaves them to the clock."""
    return None if config.epochs == TrainConfig().epochs else config.epochs


def open_finetuning(
    session: Session, length: Length, deadline: float, backends: BackendTable = BACKENDS
) -> Session:
    """A session that goes on with this one's weights and its best model so far."""
    config, plan = session.team.first(lambda: write_down(session, length))
    plan = replace(plan, device=session.plan.device)  # of this process
    opened = session.team.first_then(
        lambda: open_session(
            session.run,
            config,
            plan,
            session.index,
            session.info,
            None,
            session.events,
            backends,
            session.team,
            session.preprocessing,
        )
    )
    opened.began, opened.closing = session.began, session.closing
    opened.best_weights = session.best_weights
    opened.model.load_state_dict(session.model.state_dict())
    share_weights(opened)
    if opened.average is not None:
        opened.average.put_back(opened.model.state_dict())
    keep_start(opened)
    opened.progress = replace(session.progress, micro_batch=plan.micro_batch.value)
    whole = of_the_time(length, deadline, asked_epochs(session.config))
    opened.events.add(
        "finetune",
        f"fine-tuning: {counted(length.epochs, 'epoch')} at {sizes_in_words(opened, length)} "
        f"pixels, about {format_seconds(length.seconds)}{whole}",
    )
    opened.deadline = deadline
    search_if_asked(opened)
    now = time.perf_counter()
    opened.progress.tuning_from = now - opened.began
    hurry(opened, now, deadline)
    return opened


def of_the_time(length: Length, deadline: float, asked: int | None) -> str:
    """Why much of the time is not used, where it is not and no epochs were asked for."""
    left = deadline - time.perf_counter()
    if asked or length.epochs < MOST_EPOCHS or left == math.inf or length.seconds > left / 2:
        return ""
    return (
        f" of {format_seconds(left)}: more than {MOST_EPOCHS} epochs rarely help "
        "(--recipe finetune -ep N makes N)"
    )


def sizes_in_words(session: Session, length: Length) -> str:
    """`"160"`; `"96 to 160"` where images grow."""
    first = session.train_loader.side(0)
    return str(length.size) if first == length.size else f"{first} to {length.size}"


def write_down(session: Session, length: Length) -> tuple[TrainConfig, Plan]:
    """The configuration and the plan of fine-tuning, in the run folder too.

    The run's own plan stays: fed back, it is for the size of the features and of judging.
    """
    config = tuned(session.config, session.preprocessing.image_size, length)
    plan = replanned(session, config, length)
    with replacing(session.run.config) as temporary:
        save_config(config, temporary)
    save_plan(plan, session.run.tuning)
    return config, plan


def hurry(session: Session, started: float, deadline: float) -> None:
    """End training at the deadline, and the schedule with it."""
    steps = session.train_loader.steps_per_epoch * session.config.epochs
    session.deadline = deadline
    session.schedule = Hurried(session.schedule, steps, session.team, started, deadline)


def time_to_judge(session: Session, left: float) -> float:
    """Of `left` seconds for training; one at the least where an epoch has begun, which is then
    judged, or where there is no model yet. What has ended in time is not trained further."""
    has_to = session.progress.step_in_epoch > 0 or not has_model(session)
    return max(left, 1.0) if has_to else left


def tuned(config: TrainConfig, eval_size: int, length: Length) -> TrainConfig:
    """The configuration of fine-tuning: it stops early only where that was asked for."""
    warmup = WARMUP_SHARE * length.epochs
    if config.warmup_epochs:
        warmup = min(config.warmup_epochs, length.epochs / 2)
    return replace(
        config,
        epochs=length.epochs,
        eval_size=eval_size,
        patience=asked_patience(config),
        warmup_epochs=warmup,
    )


def asked_patience(config: TrainConfig) -> int:
    """The patience that was asked for; 0, to use all of the time, for the default."""
    return 0 if config.patience == TrainConfig().patience else config.patience


def replanned(session: Session, config: TrainConfig, length: Length) -> Plan:
    """The plan with fine-tuning's image size, which its time decides."""
    size = Choice(
        length.size,
        f"for training, by the time for {counted(length.epochs, 'epoch')}; "
        f"judged at {config.eval_size}",
        "measured",
    )
    return with_growth_said(
        replace(session.plan, image_size=size, pixels=place_of_pixels(session, length.size)),
        sides_of(config, session.info, length.size),
    )


def place_of_pixels(session: Session, size: int) -> Choice[str]:
    """Where decoded images are kept, at training's size and at that of validation.

    Smaller ones fit wherever those of the plan do; where it keeps none, they may fit RAM.
    """
    if session.config.plan is not None or session.plan.pixels.value == "device":
        return session.plan.pixels
    return place_beside_device(session, size)
