"""torch.compile in the trial: what it costs and gives in each mode that is likely to pay."""

from dataclasses import replace

import torch

from lacewing.engine.prepare import CompiledModel, compile_model
from lacewing.hardware.machine import Machine
from lacewing.planning.plan import Plan
from lacewing.planning.rules.compile import compiled_anew, is_open, usual_seconds
from lacewing.planning.trial import history, payback
from lacewing.planning.trial.bench import Bench, dropping
from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.context import Trial
from lacewing.planning.trial.findings import CompileTime, Timed
from lacewing.planning.trial.passes import LOSS_TOLERANCE, guarded, is_off
from lacewing.planning.trial.payback import Payback
from lacewing.planning.trial.race import race
from lacewing.planning.trial.ways import Way
from lacewing.planning.trial.weigh import expected_seconds

COMPILED_ROUNDS = 3
MASKED_TOLERANCE = 0.25
"""Relative difference of a compiled pass's loss that is not chance any more where there is dropout:
compiled code draws other masks."""


def try_compile(trial: Trial, plan: Plan, best: Timed) -> tuple[CompileTime, ...]:
    """What compiling costs and gives in each mode, if it is open and likely to pay.

    In the passes of `plan`, which the run will have: with large ones there is less to save.
    """
    machine, model = trial.machine, trial.job.model
    capabilities = trial.bench.backend.capabilities
    anew_for = compiled_anew(trial.config)
    open_to_it = is_open(plan.compile, trial.tier, capabilities, trial.device, anew_for)
    if not open_to_it or best.seconds is None:
        return ()
    tried: list[CompileTime] = []
    for mode in payback.usable(capabilities.compile_modes, plan.accumulation.value):
        likely = likely_payback(plan, machine, model, best, trial.budget, mode)
        takes = likely.cost_seconds + passes_seconds(best, plan)
        if not likely.worth_trying or takes > trial.budget.left_of_share:
            continue
        way = replace(best.way, images=plan.micro_batch.value)
        tried.append(time_compiled(trial, way, mode, best.way.images))
        # what failed, and perhaps at once, does not tell what compiling takes
        if tried[-1].pass_seconds is not None:
            history.remember_compile(plan, machine, model, mode, tried[-1].cost_seconds)
    return tuple(tried)


def passes_seconds(best: Timed, plan: Plan) -> float:
    """What the passes are expected to take that tell what compiling gives, those of the plan.

    One to compile, then in both forms one to warm up and those that are timed.
    """
    passes = 1 + 2 * (1 + COMPILED_ROUNDS)
    return passes * expected_seconds(best, plan.micro_batch.value)


def likely_payback(
    plan: Plan, machine: Machine, model: str, best: Timed, budget: Budget, mode: str
) -> Payback:
    """What compiling is likely to cost and to save in the run over so many images, or in as much
    of it as its own budget holds."""
    known = history.compile_seconds(plan, machine, model, mode)
    seconds = min(expected_seconds(best, budget.images), budget.run_seconds)
    cost = usual_seconds(mode) if known is None else known
    return payback.likely(plan.device.value.partition(":")[0], seconds, cost)


def forget_compiled(bench: Bench) -> None:
    """Let go of compiled forms, and of the memory of CUDA graphs, in which gradients lie."""
    for network in bench.copies.values():
        network.zero_grad(set_to_none=True)
    torch.compiler.reset()
    bench.free()


def time_compiled(trial: Trial, way: Way, mode: str, images: int) -> CompileTime:
    """Compile the way's network in a mode of `torch.compile` and time its passes, in turn with
    those of the network as it is. It is out where its loss is clearly another.

    Seconds of passes are told of so many `images`.
    """
    bench, clock = trial.bench, trial.budget.clock
    bench.optimizer(way)  # over the weights, which both forms share
    network = bench.ready(way.memory_format)
    tolerance = MASKED_TOLERANCE if dropping(network) else LOSS_TOLERANCE
    started = clock()
    compiled = compile_model(network, mode, lambda _: None)
    forms = {"plain": network, mode: compiled}
    losses: dict[str, float] = {}

    def run(form: str) -> float | str:
        bench.copies[way.memory_format] = forms[form]
        found = guarded(bench, lambda: bench.train(way))
        if isinstance(found, str):
            return found
        losses.setdefault(form, found.loss)
        return found.seconds

    first = run(mode)
    cost = clock() - started
    is_tried = isinstance(compiled, CompiledModel) and not isinstance(first, str)
    lanes = race((mode, "plain"), run, rounds=COMPILED_ROUNDS) if is_tried else []
    seconds = {lane.key: lane.median for lane in lanes}
    works = isinstance(compiled, CompiledModel) and compiled.is_compiled
    bench.copies[way.memory_format] = network
    forms.clear()
    del compiled
    forget_compiled(bench)
    taken, plain_taken = seconds.get(mode), seconds.get("plain")
    if taken is None or not works:
        return CompileTime(mode=mode, cost_seconds=cost, pass_seconds=None)
    share = images / way.images
    plain = losses.get("plain", losses[mode])
    out = ""
    if is_off(losses[mode], plain, tolerance):
        out = f"its loss is {losses[mode]:.3g}, and {plain:.3g} without it"
    return CompileTime(
        mode=mode,
        cost_seconds=cost - taken,
        pass_seconds=None if out else share * taken,
        plain_seconds=None if plain_taken is None else share * plain_taken,
        out=out,
    )
