"""The micro-batch that the memory is found to hold, run before the plan has it.

A plan that is over its memory gets passes of a size between those that were measured.
"""

from dataclasses import replace

from lacewing.errors import PlanError
from lacewing.planning.plan import Plan
from lacewing.planning.trial.context import Trial
from lacewing.planning.trial.findings import Findings
from lacewing.planning.trial.forecast import Amounts
from lacewing.planning.trial.memory import MemoryModel
from lacewing.planning.trial.peaks import two_steps
from lacewing.planning.trial.refine import Asked, sized
from lacewing.planning.trial.weigh import expected_seconds

MOST_SIZES = 3
STEPS = 3
"""Of each size, the search for algorithms among them."""


def verified(trial: Trial, findings: Findings, model: MemoryModel) -> MemoryModel:
    """The model, moved up where passes of the run's size are seen to take more; then a smaller one.

    Where the device tells its peaks, and there is time. On the CPU such a pass might end the
    process.
    """
    best, bench, allowed = findings.best, trial.bench, trial.plan.memory_bytes.value
    if bench.backend.kind == "cpu" or allowed is None or not findings.memory_measured:
        return model
    size = planned_size(trial, findings, model)
    for _ in range(MOST_SIZES):
        if size is None or size in dict(model.points):
            break
        if not trial.budget.has_room(STEPS * expected_seconds(best, size)):
            break
        peak = two_steps(bench, replace(best.way, images=size))
        taken = allowed + 1 if peak is None else peak - trial.base_bytes
        seen = () if peak is None else ((size, taken),)
        raised = replace(model.raised(size, taken), points=(*model.points, *seen))
        size = planned_size(trial, findings, raised)
        # not by a single peak: smaller passes did run
        model = model if size is None else raised
    return model


def planned_size(trial: Trial, findings: Findings, model: MemoryModel) -> int | None:
    """The micro-batch that a run by this model would get; None where not one image fits."""
    plan = sized_plan(trial, replace(findings, memory=model))
    return None if plan is None else plan.micro_batch.value


def sized_plan(trial: Trial, findings: Findings) -> Plan | None:
    """The plan with the passes that a run would have; None where not one image fits."""
    job, config = trial.job, trial.config
    amounts = Amounts(
        training=job.training_images, validation=0, test=0, epochs=config.epochs
    )  # of no account to the size
    asked = Asked(
        config=config, job=job, tier=trial.tier, amounts=amounts, cores=trial.machine.cores.value
    )
    try:
        return sized(trial.plan, findings, asked)
    except PlanError:
        return None
