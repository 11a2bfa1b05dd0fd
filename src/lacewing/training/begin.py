"""Begin a run folder, and put a run back to where it stood."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path

from lacewing import console
from lacewing.config import TrainConfig, load_config, save_config
from lacewing.data.index import ImageIndex
from lacewing.data.preprocess import Preprocessing
from lacewing.errors import RunError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.machine import Machine
from lacewing.models.catalog import find_model
from lacewing.planning.document import load_plan, save_plan
from lacewing.planning.plan import Plan
from lacewing.planning.processes import with_processes
from lacewing.planning.trial.fitting import within_memory
from lacewing.store.atomic import replacing
from lacewing.store.run import Run, open_run, write_json
from lacewing.training.checkpoint import complete, load_checkpoint
from lacewing.training.distributed import Team, with_device_group
from lacewing.training.events import EventLog, this_process, typed_command
from lacewing.training.history import forget_after, is_done, is_limited, last_epoch
from lacewing.training.hosts import common_machine, own_plan, with_threads
from lacewing.training.lock import locked
from lacewing.training.loggers import check_loggers
from lacewing.training.moved import plan_here
from lacewing.training.same_data import check_same_images
from lacewing.training.session import Session, open_session
from lacewing.training.setup import Prepared, find_images
from lacewing.training.signals import signals_wait
from lacewing.training.state import Snapshot, restore
from lacewing.training.together import share_weights
from lacewing.training.trial import record_forecast
from lacewing.values import first_line


def begin(
    prepared: Prepared,
    backends: BackendTable = BACKENDS,
    team: Team = Team(),  # noqa: B008 (frozen)
) -> Session:
    """Make the run folder, write down what was decided, and open the session."""
    run = team.first(lambda: write_down(prepared))
    events = events_of(run, team)
    plan = own_plan(prepared.plan, team, backends)
    team = with_device_group(team, plan.device.value.partition(":")[0])
    # rank 0 makes the file of decoded images, in which the others of its host find it
    session = team.first_then(lambda: open_begun(run, prepared, plan, events, backends, team))
    share_weights(session)
    return session


def write_down(prepared: Prepared) -> Run:
    """A new run folder with everything that was decided."""
    check_loggers(prepared.config)
    with signals_wait():  # no folder without what tells how to begin it anew
        return write_run(create_run(prepared), prepared)


def write_run(run: Run, prepared: Prepared) -> Run:
    """Fill a new run folder."""
    with replacing(run.asked) as temporary:  # first and whole: `clear_way` goes by it
        save_config(prepared.asked, temporary)
    with replacing(run.config) as temporary:
        save_config(prepared.config, temporary)
    prepared.machine.save(run.machine)
    write_json(run.dataset, prepared.index.summary())
    prepared.index.save(run.index)
    save_plan(prepared.plan, run.plan)
    events = EventLog(run, console.note)
    sentence = f"training of {prepared.info.name} on {prepared.index.name} begins"
    events.record("start", sentence, **this_process(), **typed_command())
    record_forecast(prepared.plan, events)
    return run


def events_of(run: Run, team: Team) -> EventLog:
    """The log of a run; of the processes that don't write, one that holds what is to be told."""
    return EventLog(run, console.note, held=None if team.leads else [])


def open_begun(
    run: Run,
    prepared: Prepared,
    plan: Plan,
    events: EventLog,
    backends: BackendTable,
    team: Team,
) -> Session:
    """A new run's session. Raises PlanError where the network does not fit."""
    return within_memory(
        lambda: open_session(
            run,
            prepared.config,
            plan,
            prepared.index,
            prepared.info,
            prepared.weights,
            events,
            backends,
            team,
            trains=prepared.config.is_classic,
        ),
        prepared.info,
        plan,
        prepared.config.optimizer,
        backends,
    )


def run_folder(output: Path, name: str) -> Path:
    """The folder of a run's name, whose odd characters become dashes."""
    return output / "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def create_run(prepared: Prepared) -> Run:
    """A new folder `<output>/<date>-<data>-<model>`, or `--name`. Raises RunError."""
    return Run(new_folder(prepared.config, prepared.index.name, prepared.info.name))


def new_folder(config: TrainConfig, *parts: str) -> Path:
    """A new folder of the configuration's name, or of the date and the parts. Raises RunError."""
    stem = config.name or "-".join((f"{datetime.now():%Y%m%d-%H%M%S}", *parts))
    names = count_up(stem) if config.name is None else iter((stem,))
    made = next(filter(make_folder, (run_folder(config.output, name) for name in names)), None)
    if made is None:
        folder = run_folder(config.output, stem)
        raise RunError(
            f"The run folder {folder} exists already: choose another --name, or go on with it by "
            f"`lacewing resume {folder}`."
        )
    return made


def count_up(stem: str) -> Iterator[str]:
    """`stem`, `stem-2`, `stem-3` and so on: several runs may begin in one second."""
    yield stem
    yield from (f"{stem}-{number}" for number in count(2))


def make_folder(folder: Path) -> bool:
    """Make a run's folder; False if there is one already. Raises RunError."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if folder.parent.is_dir():
            return False
        reason = "a file is in the way"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return True
    raise RunError(f"The run folder {folder} can't be made ({reason}): choose another --output.")


@dataclass(frozen=True)
class Found:
    """What a run folder holds of a run that is to go on."""

    config: TrainConfig
    plan: Plan
    index: ImageIndex
    snapshot: Snapshot
    preprocessing: Preprocessing | None


def reopen(
    folder: Path,
    backends: BackendTable = BACKENDS,
    accept_changed_data: bool = False,
    team: Team = Team(),  # noqa: B008 (frozen)
) -> Session:
    """A run at its newest checkpoint, ready to go on.

    Raises RunError, also if another process trains there or the images have changed, DeviceError,
    and PlanError where the network does not fit the memory.
    """
    run = team.first(lambda: open_run(folder))
    machine = common_machine(TrainConfig(output=folder), team, backends)
    found = team.first(lambda: held(run, machine, backends, accept_changed_data, team))
    events = events_of(run, team)
    plan = own_plan(found.plan, team, backends)
    team = with_device_group(team, plan.device.value.partition(":")[0])
    session = team.first_then(lambda: open_found(run, found, plan, events, backends, team))
    step = session.progress.step
    events.record("resume", f"resumed at step {step}", step=step, **this_process())
    return session


def open_found(
    run: Run, found: Found, plan: Plan, events: EventLog, backends: BackendTable, team: Team
) -> Session:
    """A run's session as its snapshot has it. Raises PlanError where it does not fit the memory."""
    info = find_model(found.config.model)

    def opened() -> Session:
        session = open_session(
            run,
            found.config,
            plan,
            found.index,
            info,
            None,
            events,
            backends,
            team,
            found.preprocessing,
            trains=found.config.is_classic or found.snapshot.is_tuning,
        )
        put_back(session, found.snapshot)
        return session

    remedy = "close other programs, or resume it on a device with more memory"
    return within_memory(opened, info, plan, found.config.optimizer, backends, remedy)


def held(
    run: Run, machine: Machine, backends: BackendTable, accept_changed_data: bool, team: Team
) -> Found:
    """What the folder holds, read while no other process trains there."""
    with locked(run):
        begun = TrainConfig(**load_config(run.config))
        config = replace(begun, limit_epochs=None)
        check_loggers(config)
        events = EventLog(run, console.note)
        if is_done(run) and not complete(run):  # a recipe may end with its head on frozen features
            raise finished(run)
        snapshot = load_checkpoint(run, lambda sentence: events.warn("checkpoint", sentence))
        preprocessing = preprocessing_in(snapshot, run)
        # not by the checkpoint alone: the newest may be damaged
        done = max(snapshot.epoch, last_epoch(run))
        if is_done(run) and not is_limited(begun, done):
            raise finished(run)
        index, now = ImageIndex.load(run.index), find_images(config, machine)
        if check_same_images(index, now, events, accept_changed_data):
            index = replace(index, root=now.root)  # the same images, perhaps in another place
        plan = plan_here(load_plan(run.current_plan), config, machine, index, run, backends)
        forget_after(run, snapshot.epoch)
    plan = with_processes(with_threads(plan, machine, team), config, team.ranks)
    return Found(config, plan, index, snapshot, preprocessing)


def finished(run: Run) -> RunError:
    """That a run was trained, judged and reported on."""
    return RunError(f"{run.folder} is finished: nothing is left to resume.")


def preprocessing_in(snapshot: Snapshot, run: Run) -> Preprocessing | None:
    """What the run's images went through. Raises RunError."""
    try:
        return snapshot.preprocessing
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise foreign(run, error) from error


def foreign(run: Run, error: Exception) -> RunError:
    """That a checkpoint holds something else than this version would have written."""
    return RunError(
        f"The checkpoint in {run.checkpoints} is not one of this run "
        f"({first_line(error)}): resume it with the version of lacewing that "
        "wrote it."
    )


def put_back(session: Session, snapshot: Snapshot) -> None:
    """Make a new session what it was when the snapshot was taken.

    Raises RunError, and what the device raises where its memory runs out.
    """
    try:
        session.progress = restore(
            snapshot,
            session.model,
            session.optimizer,
            session.scaler,
            session.schedule,
            session.average,
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if session.backend.is_out_of_memory(error):
            raise
        raise foreign(session.run, error) from error
    micro_batch = min(session.progress.micro_batch, session.plan.micro_batch.value)
    session.progress.micro_batch = micro_batch
    session.best_weights = snapshot.best or None
    session.keeper.good = snapshot
