"""A whole run: begin it or go on with it, train, judge, report.

`run_training` is the shortest way to read all of lacewing.
"""

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from lacewing import console
from lacewing.config import TrainConfig
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.blas import take_buffers
from lacewing.hardware.lost import device_watched
from lacewing.results.finish import finish, show_answer
from lacewing.running.decide import prepared_fully
from lacewing.running.folds import carry_out_folds, refuse_several
from lacewing.running.judge import only_evaluate
from lacewing.running.outcome import TrainedRun, accuracy_of, already_done, interrupted
from lacewing.running.show import shown
from lacewing.training.begin import begin, reopen
from lacewing.training.distributed import Team, joined
from lacewing.training.find import (
    begin_again,
    clear_way,
    find_done,
    find_named_runs,
    find_unfinished,
)
from lacewing.training.folds import asked_folds, folds_folder
from lacewing.training.hosts import common_machine
from lacewing.training.lock import locked
from lacewing.training.loop import Ending
from lacewing.training.recipe.carry_out import train as train_session
from lacewing.training.session import Session
from lacewing.training.signals import interrupt_on_signals
from lacewing.training.together import goes_on


def run_training(config: TrainConfig, started: float | None = None) -> TrainedRun:
    """Carry out a configuration, showing each decision on the screen.

    A budget counts from `started`, on the clock of `time.perf_counter`; from now if not given.
    """
    started = time.perf_counter() if started is None else started
    take_buffers()
    with joined() as team:
        return run_together(config, started, team)


def run_together(config: TrainConfig, started: float, team: Team) -> TrainedRun:
    """`run_training`, with the other processes that train along, if there are any."""
    as_typed, config = config, team.first(lambda: find_named_runs(config))
    if config.load_checkpoint and config.train:
        assert isinstance(config.load_checkpoint, Path)
        if team.alone:  # which may be a run of folds
            return resume(config.load_checkpoint, config.accept_changed_data)
        return go_on(config.load_checkpoint, config.accept_changed_data, started, team)
    if not config.train:
        return team.first(lambda: only_evaluate(config))
    if config.folds is not None and config.fold is None:
        team.first(lambda: refuse_several(team.ranks))
        return carry_out_folds(config, folds_folder(config, as_typed), run_training)
    if config.resume == "auto" or team.ranks.restarts:
        unfinished = team.first(lambda: find_unfinished(as_typed))
        if unfinished:
            return go_on(unfinished, config.accept_changed_data, started, team)
        done = team.first(lambda: find_done(as_typed))
        if done:
            return team.first(lambda: already_done(done))
        team.only_first(lambda: clear_way(as_typed))
    with interrupt_on_signals():
        machine = None if team.alone else common_machine(config, team, BACKENDS)
        prepared = team.first(lambda: shown(prepared_fully(config, started, machine, team.ranks)))
        return carry_out(begin(prepared, team=team), started)


def resume(run: str | Path, accept_changed_data: bool = False) -> TrainedRun:
    """Go on with an interrupted run, from its newest checkpoint; before the first one, anew.

    Raises RunError where that can't be, also if the images are not those that it began with.
    """
    started = time.perf_counter()
    take_buffers()
    with joined() as team:
        folds = team.first(lambda: asked_folds(Path(run)))
        if folds is not None:
            team.first(lambda: refuse_several(team.ranks))
            folds = replace(folds, accept_changed_data=accept_changed_data)
            return carry_out_folds(folds, Path(run), run_training)
        asked = team.first(lambda: begin_again(Path(run).absolute()))
        if asked is not None:
            console.note(f"{run} was cut off before its first checkpoint: it begins anew.")
            return run_together(asked, started, team)
        return go_on(Path(run), accept_changed_data, started, team)


def go_on(run: Path, accept_changed_data: bool, started: float, team: Team) -> TrainedRun:
    """`resume`, with the other processes that were met already."""
    with interrupt_on_signals():
        session = reopen(run, accept_changed_data=accept_changed_data, team=team)
        console.heading(f"Going on with {run} at step {session.progress.step}")
        return carry_out(session, started)


def carry_out(session: Session, started: float) -> TrainedRun:
    """Train, judge, report; a budget counts from `started`, on `time.perf_counter`'s clock.

    Raises RunError if another process works in the run folder, DeviceLostError if the device stops
    working.
    """
    console.heading("Training")
    remedy = f"check it and its driver, then {goes_on(session)}, on another device if it is gone"
    try:
        with (
            locked(session.run) if session.team.leads else nullcontext(),
            device_watched(session.plan.device.value, remedy),
        ):
            session, ending = train_session(session, started)
            if not ending.finished:
                return interrupted(session, ending.reason)
            console.say(ending.reason)
            accuracy = session.team.first(lambda: judged_at_the_end(session, ending))
    except KeyboardInterrupt:  # a second signal, or one before or after the loop
        return interrupted(session, "interrupted")
    return TrainedRun(session.run.folder, True, ending.reason, accuracy)


def judged_at_the_end(session: Session, ending: Ending) -> float | None:
    """Top-1 on the test split, if there is any; figures and report are in the run folder."""
    judged = finish(session, ending)
    show_answer(session.run, judged)
    return accuracy_of(judged)
