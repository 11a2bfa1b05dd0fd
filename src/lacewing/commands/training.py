"""The commands that train a model or work on a run folder."""

import gc
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lacewing import console
from lacewing.commands.command import Command, check_target
from lacewing.config import Short, TrainConfig, require_data
from lacewing.errors import ConfigError
from lacewing.fields import boolean, duration, number, path, text, whole
from lacewing.flags import Flag, Given, Word, config_flags, config_from, flags_of, options_from
from lacewing.hardware.ranks import ranks_here
from lacewing.store.run import Run, check_folder, open_run

if TYPE_CHECKING:
    from lacewing.running.outcome import TrainedRun

INTERRUPTED = 130
"""Exit code of a run that was interrupted and can be resumed: the shell's for Ctrl-C."""

ENDINGS = {"interrupted": INTERRUPTED, "died": 1}
"""Exit codes of `watch` for a run that did not come to its end."""

DEMO: dict[str, Any] = {"data": "sample", "epochs": 3, "patience": 0}
"""Fields of the configuration that `lacewing demo` trains with."""


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What `plan` takes besides the flags of `train`."""

    out: Annotated[Path, path(metavar="FILE"), Short("-o")] = Path("plan.yaml")
    """Where the plan is written; edit it, and `lacewing train --plan FILE` carries it out."""
    budgets: Annotated[str | None, text(metavar="TIME,TIME", optional=True)] = None
    """Show what each of these budgets would buy, as in 1m,10m,1h,8h, and write no plan."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `report` takes."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """The run folder."""


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """What `watch` takes."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """The run folder; it may not be there yet."""
    once: Annotated[bool, boolean()] = False
    """Look once, and end."""
    json: Annotated[bool, boolean()] = False
    """With --once: print JSON."""
    every: Annotated[float, number(above=0)] = 1.0
    """Seconds between two looks."""


@dataclass(frozen=True, kw_only=True)
class ResumeOptions:
    """What `resume` takes."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """The run folder."""
    accept_changed_data: Annotated[bool, boolean()] = False
    """Go on although the images are not those that the run began with."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What `evaluate` takes."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """The run folder."""
    data: Annotated[str | None, text(metavar="NAME|PATH", optional=True), Short("-data")] = None
    """Judge the model on these images instead of the run's own test split."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What `demo` takes."""

    epochs: Annotated[int, whole(at_least=1), Short("-ep")] = DEMO["epochs"]
    """Epochs to train."""
    output: Annotated[Path, path(metavar="FOLDER")] = Path("runs")
    """Folder in which the run folder is made."""


def train(given: Given) -> int:
    """Train a classifier."""
    started = time.perf_counter()  # the imports below take seconds, which a budget holds too
    config = config_from(given)
    if config.train and not config.load_checkpoint:
        check_data(config)
    from lacewing.running.train import run_training

    leave_libraries()
    return exit_code(run_training(config, started))


def leave_libraries() -> None:
    """Keep what the imports made out of garbage collection: each epoch's takes 0.4 s with it."""
    gc.freeze()


def check_data(config: TrainConfig) -> None:
    """Raise a UserError for a data set that is not there, before PyTorch takes seconds to load.

    A run that may have come to its end needs none, and several processes are told by the first.
    """
    require_data(config)
    if config.resume == "auto" or ranks_here(os.environ).world > 1:
        return
    from lacewing.data.locate import check_there

    assert config.data is not None
    check_there(config.data, config.data_root)


def demo(given: Given) -> int:
    """Train on the sample."""
    options = options_from(DemoOptions, given)
    config = TrainConfig(**{**DEMO, **vars(options)})
    from lacewing.running.train import run_training

    leave_libraries()
    return exit_code(run_training(config))


def resume(given: Given) -> int:
    """Go on with an interrupted run."""
    options = options_from(ResumeOptions, given)
    if ranks_here(os.environ).world == 1:  # of several processes the first tells
        check_folder(options.run)
    from lacewing import api

    leave_libraries()
    return exit_code(api.resume(options.run, options.accept_changed_data))


def exit_code(run: "TrainedRun") -> int:
    """0 for a run that came to its end."""
    return 0 if run.finished else INTERRUPTED


def plan_flags() -> tuple[Flag, ...]:
    """The flags of `train`, and where to write the plan."""
    return (*flags_of(PlanOptions), *config_flags())


def plan(given: Given) -> int:
    """Show the plan and write it."""
    options = options_from(PlanOptions, given)
    own = {flag.name for flag in flags_of(PlanOptions)}
    config = config_from({name: value for name, value in given.items() if name not in own})
    check_target(options.out)
    check_data(config)
    if options.budgets is not None:
        seconds = tuple(map(seconds_of, options.budgets.split(",")))
        from lacewing.running.decide import run_budgets

        run_budgets(config, seconds)
        return 0
    from lacewing.planning.document import save_plan
    from lacewing.running.decide import run_plan

    save_plan(run_plan(config), options.out)
    console.say(f"The plan is in {options.out}.")
    return 0


def seconds_of(budget: str) -> float:
    """One of the --budgets. Raises ConfigError."""
    return float(duration().check("budgets", budget))


def evaluate(given: Given) -> int:
    """Judge a trained model."""
    options = options_from(EvaluateOptions, given)
    open_run(options.run)
    from lacewing import api

    api.evaluate(options.run, options.data)
    return 0


def report(given: Given) -> int:
    """Write a run's report anew."""
    options = options_from(RunOptions, given)
    open_run(options.run)
    from lacewing.api import rebuild_report

    console.say(f"The report is in {rebuild_report(options.run)}.")
    return 0


def watch(given: Given) -> int:
    """Follow a run, of this process or another."""
    options = options_from(WatchOptions, given)
    if options.json and not options.once:
        raise ConfigError("--json is for a single look: add --once.")
    from lacewing.results.watching import ENDED, head_lines, log_lines, look

    if options.once:
        watched = look(open_run(options.run))
        if options.json:
            console.as_json(watched.as_dict())
        else:
            for line in (*log_lines(watched), *head_lines(watched)):
                console.say(line)
        return ENDINGS.get(watched.state, 0)
    with console.live() as show:
        while (watched := look(Run(options.run))).state not in ENDED:
            show(head_lines(watched), log_lines(watched))
            time.sleep(options.every)
        show(head_lines(watched), log_lines(watched))
    return ENDINGS.get(watched.state, 0)


COMMANDS = {
    "train": Command("Train an image classifier; what is not asked is decided.", config_flags,
                     train, together=True),
    "plan": Command("Show what train would decide and why, and write it down.", plan_flags, plan),
    "resume": Command("Go on with an interrupted run.", lambda: flags_of(ResumeOptions), resume,
                      together=True),
    "evaluate": Command("Judge a run's best model on its test split, or on other images.",
                        lambda: flags_of(EvaluateOptions), evaluate),
    "watch": Command("Follow a run in the terminal, also one of another process.",
                     lambda: flags_of(WatchOptions), watch, without_torch=True),
    "report": Command("Write a run's report.html anew.", lambda: flags_of(RunOptions), report),
    "demo": Command("Train on the built-in sample, in a few minutes on a CPU.",
                    lambda: flags_of(DemoOptions), demo, together=True),
}  # fmt: skip
