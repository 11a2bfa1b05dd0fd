"""What an epoch would cost at other image sizes: no trial can tell what they gain."""

from dataclasses import replace

from lacewing.performance_config import Tier
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules.image_size import nearest_size
from lacewing.values import format_seconds


def with_costs(plan: Plan, job: Job, tier: Tier, epoch_seconds: float) -> Plan:
    """The plan whose image size says what an epoch takes at it, and at the others that are likely.

    In proportion to the pixels. A size that was asked for stays as it is, and one without a choice.
    """
    size, choice = plan.image_size.value, plan.image_size
    others = sizes_beside(size, job, tier)
    if choice.source != "rule" or not others:
        return plan
    costs = {side: epoch_seconds * (side / size) ** 2 for side in (size, *others)}
    told = ", ".join(f"{format_seconds(seconds)} at {side}" for side, seconds in costs.items())
    evidence = {f"epoch_seconds_at_{side}": round(value, 1) for side, value in costs.items()}
    choice = replace(
        choice,
        reason=f"{choice.reason}; an epoch takes about {told}",
        evidence={**choice.evidence, **evidence},
    )
    return replace(plan, image_size=choice)


def sizes_beside(size: int, job: Job, tier: Tier) -> list[int]:
    """The tier's other sizes and the network's own, as far as it accepts them; the smallest
    first."""
    if job.fixed_size:
        return []
    sides = {nearest_size(side, job) for side in (*tier.image_sizes, job.native_size)}
    return sorted(sides - {size})
