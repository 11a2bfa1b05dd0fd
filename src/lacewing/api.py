"""The Python face: the same words as the command line.

import lacewing

run = lacewing.train(data="photos", epochs=5)
print(run.accuracy)
for prediction in lacewing.load(run.folder).predict(["leaf.jpg"]):
    print(prediction.classes[0], prediction.probabilities[0])
"""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lacewing import console
from lacewing.config import TrainConfig, with_recipe
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.sample import draw_sample
from lacewing.data.subset import times_larger
from lacewing.deploy.predict import Predictor, load_predictor
from lacewing.errors import ConfigError
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.describe import short_rows, verdict
from lacewing.hardware.machine import Machine
from lacewing.hardware.ranks import ALONE, Ranks, ranks_here
from lacewing.planning.document import plan_rows
from lacewing.planning.plan import Plan
from lacewing.planning.processes import with_processes
from lacewing.results.evaluate import Judged
from lacewing.results.finish import evaluate_run, finish, report, show_answer
from lacewing.results.folds import add_test, show_folds, summarise, write_folds
from lacewing.results.projection import project_forecast
from lacewing.store.run import Run, open_run, read_json
from lacewing.training.begin import begin, reopen
from lacewing.training.distributed import Team, joined
from lacewing.training.find import begin_again, clear_way, find_done, find_run, find_unfinished
from lacewing.training.folds import (
    asked_folds,
    fold_config,
    fold_row,
    folds_folder,
    last_config,
)
from lacewing.training.hosts import common_machine
from lacewing.training.loop import Ending
from lacewing.training.network import prepare_with_network
from lacewing.training.recipe.carry_out import train as train_session
from lacewing.training.recipe.outlook import (
    COLUMNS,
    Outlook,
    Speeds,
    amounts_of,
    look_ahead,
    measure_speeds,
    outlook_rows,
)
from lacewing.training.recipe.prepare import with_recipe_decided
from lacewing.training.session import Session
from lacewing.training.setup import Prepared, check_words, look
from lacewing.training.signals import interrupt_on_signals
from lacewing.training.trial import show_trial, with_trial
from lacewing.values import format_seconds


@dataclass(frozen=True)
class TrainedRun:
    """Where a run lies and how it ended."""

    folder: Path
    finished: bool
    """False where it was interrupted: `lacewing resume` goes on."""
    reason: str
    accuracy: float | None
    """Top-1 on the test split, 0 to 1; None where it was not judged."""


def train(**fields: Any) -> TrainedRun:
    """Train a classifier; the keywords are the fields of `TrainConfig`.

    Raises a UserError for what can't be done, TrainingError where training can't go on.
    """
    return run_training(TrainConfig(**with_recipe(fields)))


def plan(**fields: Any) -> Plan:
    """What `train` with the same keywords would decide, without training."""
    return prepared_fully(TrainConfig(**with_recipe(fields))).plan


def load(run: str | Path) -> Predictor:
    """A trained model, ready to predict.

    `run` is a run folder, a model.safetensors, a folder or a .zip that was shared, or
    `hub:owner/name`. Only safetensors are read, which can't hold code. Raises RunError or
    WeightsError where there is no model.
    """
    return load_predictor(Path(run))


def resume(run: str | Path, accept_changed_data: bool = False) -> TrainedRun:
    """Go on with an interrupted run, from its newest checkpoint; before the first one, anew.

    Raises RunError where that can't be, also if the images are not those that it began with.
    """
    started = time.perf_counter()
    folds = asked_folds(Path(run))
    if folds is not None:
        refuse_several(ranks_here(os.environ))
        return carry_out_folds(replace(folds, accept_changed_data=accept_changed_data), Path(run))
    with joined() as team:
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


def evaluate(run: str | Path, data: str | None = None) -> dict[str, Any]:
    """Figures of a run's best model on its test split, or on other images.

    Of other data the test split is taken if it has one, else every image.
    """
    folder = open_run(Path(run))
    if data is None:
        judged = evaluate_run(folder, None, "test")
    else:
        index = other_images(data)
        judged = evaluate_run(folder, index, index.name)
    show_answer(folder, judged)
    return judged.figures.as_dict()


def rebuild_report(run: str | Path) -> Path:
    """Write a run's report.html anew from its folder."""
    return report(open_run(Path(run)))


def run_training(config: TrainConfig, started: float | None = None) -> TrainedRun:
    """Carry out a configuration, showing each decision on the screen.

    A budget counts from `started`, on the clock of `time.perf_counter`; from now if not given.
    """
    started = time.perf_counter() if started is None else started
    with joined() as team:
        return run_together(config, started, team)


def run_together(config: TrainConfig, started: float, team: Team) -> TrainedRun:
    """`run_training`, with the other processes that train along, if there are any."""
    config = team.first(lambda: find_named_runs(config))
    if config.load_checkpoint and config.train:
        assert isinstance(config.load_checkpoint, Path)
        if team.alone:  # which may be a run of folds
            return resume(config.load_checkpoint, config.accept_changed_data)
        return go_on(config.load_checkpoint, config.accept_changed_data, started, team)
    if not config.train:
        return team.first(lambda: only_evaluate(config))
    if config.folds is not None and config.fold is None:
        team.first(lambda: refuse_several(team.ranks))
        return carry_out_folds(config, folds_folder(config))
    if config.resume == "auto" or team.ranks.restarts:
        unfinished = team.first(lambda: find_unfinished(config))
        if unfinished:
            return go_on(unfinished, config.accept_changed_data, started, team)
        done = team.first(lambda: find_done(config))
        if done:
            return team.first(lambda: already_done(done))
        team.only_first(lambda: clear_way(config))
    with interrupt_on_signals():
        machine = None if team.alone else common_machine(config, team, BACKENDS)
        prepared = team.first(lambda: shown(prepared_fully(config, started, machine, team.ranks)))
        return carry_out(begin(prepared, team=team), started)


def run_plan(config: TrainConfig) -> Plan:
    """Decide and show, without training."""
    return shown(prepared_fully(config)).plan


def run_budgets(config: TrainConfig, budgets: tuple[float, ...]) -> list[Outlook]:
    """What each budget, in seconds, would buy; measured and shown, without training.

    Raises ConfigError where the recipe is classic, whose epochs are named by its flags.
    """
    started = time.perf_counter()
    if config.recipe == "classic":
        raise ConfigError(
            "--budgets is for the recipe, which chooses what a time is spent on: leave out the "
            "classic training flags."
        )
    seen = look(config, check_words(config))
    spent = time.perf_counter() - started
    show_machine(seen.machine)
    show_data(seen.index)
    outlooks: list[Outlook] = []
    timed: dict[str, Speeds] = {}
    for seconds in budgets:
        prepared = prepare_with_network(replace(config, budget=seconds), seen=seen)
        name = prepared.info.name
        if name not in timed:
            timed[name] = measure_speeds(prepared)
        amounts = amounts_of(prepared)
        outlooks.append(look_ahead(prepared.info, amounts, timed[name], seconds, spent))
    console.heading("Budgets")
    console.table(COLUMNS, outlook_rows(outlooks))
    console.note("How accurate each would be is not foretold: validation images tell.")
    return outlooks


def prepared_fully(
    config: TrainConfig,
    started: float | None = None,
    machine: Machine | None = None,
    ranks: Ranks = ALONE,
) -> Prepared:
    """Everything decided: by the rules, by the recipe, and by what was measured.

    `machine` is what several processes have in common; this one if not given.
    """
    seen = None if machine is None else look(config, check_words(config), machine=machine)
    prepared = replace(prepare_with_network(config, seen=seen), processes=ranks.world)
    spent = 0.0 if started is None else time.perf_counter() - started
    decided = with_trial(with_recipe_decided(prepared, spent=spent))
    return replace(decided, plan=with_processes(decided.plan, decided.config, ranks))


def refuse_several(ranks: Ranks) -> None:
    """Raise ConfigError: folds are runs of one process, one after another."""
    if ranks.world > 1:
        raise ConfigError(
            "--folds trains one run after another in one process: start it without torchrun or "
            "srun, or each fold by itself with --fold."
        )


def find_named_runs(config: TrainConfig) -> TrainConfig:
    """`True` for a checkpoint or a model means the newest run of this data and network."""
    if config.load_checkpoint is True:
        run = find_run(config.output, config.data, config.model)
        return replace(config, load_checkpoint=run)
    if config.load_model is True:
        return replace(config, load_model=find_run(config.output, config.data, config.model))
    return config


def only_evaluate(config: TrainConfig) -> TrainedRun:
    """`--train False`: judge a trained model, on its own test split if no data is named."""
    folder = config.load_model or config.load_checkpoint
    assert isinstance(folder, Path)
    figures = evaluate(folder, config.data)
    return TrainedRun(folder, True, "evaluated", figures["top1"])


def carry_out(session: Session, started: float) -> TrainedRun:
    """Train, judge, report; a budget counts from `started`, on `time.perf_counter`'s clock."""
    console.heading("Training")
    try:
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


def interrupted(session: Session, reason: str) -> TrainedRun:
    """Say how a run that was asked to end can be resumed."""
    folder = session.run.folder
    session.events.record("interrupted", reason)
    hint = f": `lacewing resume {folder}` goes on" if session.config.save_checkpoints else ""
    console.warn(f"{reason}{hint}.")
    return TrainedRun(folder, False, reason, None)


def carry_out_folds(config: TrainConfig, folder: Path) -> TrainedRun:
    """Every fold's run and the last one, in a folder around them; finished ones are passed over.

    Returns the last run, or where it was interrupted the folder, which can be resumed.
    """
    assert config.folds is not None
    for fold in range(1, config.folds + 1):
        console.heading(f"Fold {fold} of {config.folds}")
        run = run_training(fold_config(config, folder, fold))
        if not run.finished:
            return replace(run, folder=folder)
    rows = [fold_row(folder, fold) for fold in range(1, config.folds + 1)]
    found = summarise(rows)
    write_folds(folder, found)
    show_folds(found)
    console.heading("The last run, on all training and validation images")
    last = run_training(last_config(config, folder, rows))
    if not last.finished:
        return replace(last, folder=folder)
    add_test(folder, last.folder)
    return last


def already_done(folder: Path) -> TrainedRun:
    """What `--resume auto` says where nothing is left to do."""
    console.say(f"{folder} is finished: nothing is left to do.")
    tested = read_json(Run(folder).results).get("splits", {}).get("test", {})
    return TrainedRun(folder, True, "finished before", tested.get("top1"))


def accuracy_of(judged: Judged | None) -> float | None:
    """Top-1, if there is any."""
    return None if judged is None else judged.figures.top1


def other_images(data: str) -> ImageIndex:
    """The images that a trained model is to be judged on. Raises DataError."""
    with console.progress("reading the images") as update:
        index = open_images(
            data, val_share=0.0, test_share=0.0, progress=update, draw_sample=draw_sample
        )
    tested = index.split("test")
    return tested if len(tested) else index


def shown(prepared: Prepared) -> Prepared:
    """The same; machine, data and plan are on the screen."""
    show(prepared)
    return prepared


def show(prepared: Prepared) -> None:
    """Machine, data and plan, on the screen."""
    show_machine(prepared.machine)
    show_data(prepared.index)
    if prepared.networks:
        console.heading("Networks")
        console.table(("network", "ImageNet", "images/s", "time", ""), prepared.networks)
    console.heading("Plan")
    console.table(("decision", "value", "why", "source"), plan_rows(prepared.plan))
    for note in prepared.plan.notes:
        console.note(note)
    if prepared.config.recipe == "classic" or prepared.config.explain:
        show_trial(prepared.plan, prepared.config.explain)  # a recipe knows its epochs later
        show_all_images(prepared)


def show_all_images(prepared: Prepared) -> None:
    """What the run would take without --sample, where there is one and the trial has timed it."""
    times, measured = times_larger(prepared.index), prepared.plan.measured
    if times is None or measured is None:
        return
    seconds = project_forecast(measured.forecast, times)
    if seconds is not None:
        console.pairs((("all images", f"the run would take about {format_seconds(seconds)}"),))


def show_machine(machine: Machine) -> None:
    """The short table that opens every run."""
    console.heading("Machine")
    console.pairs(short_rows(machine))
    console.say(verdict(machine))


def show_data(index: ImageIndex) -> None:
    """What was recognised, how much there is, what was left out."""
    console.heading("Data")
    counts = ", ".join(f"{int(index.counts(s).sum()):,} {s}" for s in ("train", "val", "test"))
    console.pairs(
        (
            ("data set", f"{index.name}: {index.layout}"),
            ("classes", str(len(index.classes))),
            ("images", counts),
        )
    )
    for note in index.notes:
        console.note(note)
    for excluded in index.excluded[:5]:
        console.say(f"  left out: {excluded.path} ({excluded.reason})")
    if len(index.excluded) > 5:
        console.say(f"  ... and {len(index.excluded) - 5} more, all in dataset.json")
