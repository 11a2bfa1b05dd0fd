"""Side of the network's square input."""

from lacewing.errors import ModelError
from lacewing.performance_config import Tier
from lacewing.planning.job import Job
from lacewing.values import Choice


def choose(asked: int | None, tier: Tier, job: Job) -> Choice[int]:
    """The tier's size, unless the network demands another. Raises ModelError."""
    if job.fixed_size:
        if asked is not None and asked != job.native_size:
            raise ModelError(
                f"{job.model} accepts {job.native_size}-pixel images only: leave --image-size out."
            )
        return Choice(job.native_size, f"{job.model} accepts this size only", "rule")
    if asked is not None:
        if asked < job.min_size:
            raise ModelError(
                f"{job.model} needs images of at least {job.min_size} pixels, "
                f"but --image-size is {asked}."
            )
        return Choice(asked, "asked for", "user")
    size = tier.image_sizes[0]
    if size < job.min_size:
        return Choice(job.min_size, f"the smallest that {job.model} accepts", "rule")
    return Choice(size, "the tier's size", "rule", {"native_size": job.native_size})
