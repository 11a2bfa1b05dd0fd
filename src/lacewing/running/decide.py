"""Look and decide, without training: the plan of a run, and what a budget would buy."""

import time
from dataclasses import replace

from lacewing import console
from lacewing.config import TrainConfig
from lacewing.errors import ConfigError
from lacewing.hardware.machine import Machine
from lacewing.hardware.ranks import ALONE, Ranks
from lacewing.planning.plan import Plan
from lacewing.planning.processes import with_processes
from lacewing.running.show import show_data, show_machine, shown
from lacewing.training.find import find_named_runs
from lacewing.training.network import prepare_with_network
from lacewing.training.one_image import check_one_image
from lacewing.training.recipe.classic_size import with_size_fitted
from lacewing.training.recipe.fallback import with_epochs_fitted, with_epochs_open
from lacewing.training.recipe.outlook import (
    COLUMNS,
    Outlook,
    Speeds,
    amounts_of,
    look_ahead,
    look_at_classic,
    measure_speeds,
    of_recipe,
    outlook_rows,
)
from lacewing.training.recipe.prepare import (
    with_gentle_rate,
    with_norms_decided,
    with_recipe_decided,
)
from lacewing.training.setup import Prepared, check_words, look
from lacewing.training.trial import with_trial


def run_plan(config: TrainConfig) -> Plan:
    """Decide and show, without training."""
    return shown(prepared_fully(config)).plan


def prepared_fully(
    config: TrainConfig,
    started: float | None = None,
    machine: Machine | None = None,
    ranks: Ranks = ALONE,
) -> Prepared:
    """Everything decided: by the rules, by the recipe, and by what was measured.

    `machine` is what several processes have in common; this one if not given.
    """
    config = find_named_runs(config)
    seen = None if machine is None else look(config, check_words(config), machine=machine)
    prepared = replace(prepare_with_network(config, seen=seen), processes=ranks.world)
    ready = with_epochs_open(with_recipe_decided(prepared, spent=seconds_since(started)))
    check_one_image(ready)
    tried = with_trial(ready)
    smaller = with_size_fitted(ready, tried, seconds_since(started))
    if smaller is not None:
        check_one_image(smaller)
        tried = with_trial(smaller)
    tried = with_epochs_fitted(tried, seconds_since(started))
    decided = with_norms_decided(with_gentle_rate(tried))
    return replace(decided, plan=with_processes(decided.plan, decided.config, ranks))


def seconds_since(started: float | None) -> float:
    """How long ago that was, on the clock of `time.perf_counter`; 0 for None."""
    return 0.0 if started is None else time.perf_counter() - started


def run_budgets(config: TrainConfig, budgets: tuple[float, ...]) -> list[Outlook]:
    """What each budget, in seconds, would buy; measured and shown, without training.

    Raises ConfigError where classic training was asked for, whose epochs are named by its flags.
    """
    started, config = time.perf_counter(), find_named_runs(config)
    if config.is_classic:
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
        prepared = of_recipe(prepare_with_network(replace(config, budget=seconds), seen=seen))
        name = prepared.info.name
        if name not in timed:
            timed[name] = measure_speeds(prepared)
        amounts = amounts_of(prepared)
        ahead = look_at_classic if prepared.config.is_classic else look_ahead
        outlooks.append(ahead(prepared.info, amounts, timed[name], seconds, spent))
    console.heading("Budgets")
    console.table(COLUMNS, outlook_rows(outlooks))
    console.note("How accurate each would be is not foretold: validation images tell.")
    return outlooks
