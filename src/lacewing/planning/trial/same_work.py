"""Of what work a forecast is, so that a plan file's is shown beside the same work alone."""

from dataclasses import asdict, replace

from lacewing.config import TrainConfig
from lacewing.hardware.machine import Machine
from lacewing.planning.job import Job
from lacewing.planning.measured import Measured
from lacewing.planning.norms import keeps_statistics
from lacewing.planning.plan import Plan
from lacewing.planning.trial.forecast import Amounts
from lacewing.planning.trial.history import FLAGS, digest, fingerprint

FREE = ("learning_rate", "accumulation")
"""Decisions that take no time, or that follow from others."""


def work_of(
    plan: Plan, config: TrainConfig, machine: Machine, job: Job, amounts: Amounts, data: str
) -> str:
    """A digest of all that a forecast goes by but the epochs, which stand in it."""
    # several processes write their part of a batch into the plan's file
    micro = min(plan.micro_batch.value, -(-plan.batch.value // amounts.processes))
    decided = {name: choice.value for name, choice in plan.choices().items() if name not in FREE}
    work = {
        "machine": fingerprint(machine, plan.device.value),
        "work": [job.model, job.classes, job.optimizer, job.pretrained, data],
        "amounts": asdict(replace(amounts, epochs=0)),
        "plan": {**decided, "micro_batch": micro},
        "flags": {name: str(getattr(config, name)) for name in ("recipe", *FLAGS)},
        "norms": keeps_statistics(config, job.pretrained, micro),
    }
    return digest(work)


def is_of(measured: Measured, work: str, epochs: int) -> bool:
    """Whether it was measured for this work, and tells of as many epochs."""
    return measured.work == work and measured.forecast.get("epochs", epochs) == epochs
