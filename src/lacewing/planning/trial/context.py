"""What the parts of a trial share."""

from dataclasses import dataclass, field

from lacewing.config import TrainConfig
from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import Tier
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules.device import find_device
from lacewing.planning.trial.bench import Bench
from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.stage import Sample


class TrialError(Exception):
    """Nothing could be timed; the text is the reason, a clause. The rules' choices then stand."""


@dataclass(kw_only=True)
class Trial:
    """One trial: what is planned, on what, and how much time is left."""

    plan: Plan
    config: TrainConfig
    machine: Machine
    job: Job
    tier: Tier
    bench: Bench
    sample: Sample
    budget: Budget
    base_bytes: int
    """Of memory that the process took before there was a network."""
    expected: dict[bool, float] = field(default_factory=dict)
    """Losses in full precision, by whether it is a forward-only pass."""

    @property
    def device(self) -> Device:
        """The device that is planned for."""
        return find_device(self.machine, self.plan.device.value)
