"""Side of the network's square input."""

from lacewing.errors import ModelError
from lacewing.performance_config import Tier
from lacewing.planning.job import Job
from lacewing.values import Choice


def choose(asked: int | None, tier: Tier, job: Job) -> Choice[int]:
    """The tier's size, unless the network demands another. Raises ModelError."""
    if asked is not None:
        check_asked(asked, job)
        return Choice(asked, "asked for", "user")
    if job.fixed_size:
        return Choice(job.native_size, f"{job.model} accepts this size only", "rule")
    evidence = {"native_size": job.native_size}
    wanted = tier.image_sizes[0]
    size = nearest_size(wanted, job)
    if size == wanted:
        return Choice(size, "the tier's size", "rule", evidence)
    if wanted < job.min_size:
        return Choice(size, f"the smallest that {job.model} accepts", "rule", evidence)
    reason = f"nearest to the tier's {wanted}: {job.model} needs a multiple of {job.size_multiple}"
    return Choice(size, reason, "rule", evidence)


def check_asked(asked: int, job: Job) -> None:
    """Raise ModelError for a size that the network can't take."""
    if job.fixed_size and asked != job.native_size:
        raise ModelError(
            f"{job.model} accepts {job.native_size}-pixel images only, but --image-size is "
            f"{asked}: leave it out."
        )
    if asked < job.min_size:
        raise ModelError(
            f"{job.model} needs images of at least {nearest_size(job.min_size, job)} pixels, "
            f"but --image-size is {asked}."
        )
    if asked % job.size_multiple:
        raise ModelError(
            f"{job.model} needs a multiple of {job.size_multiple} pixels, but --image-size is "
            f"{asked}: use {nearest_size(asked, job)}."
        )


def nearest_size(wanted: int, job: Job) -> int:
    """The nearest size that the network accepts; of two equally near, the smaller."""
    step = job.size_multiple
    below = wanted // step * step
    nearest = below if wanted - below <= step / 2 else below + step
    least = -(-job.min_size // step) * step
    return max(nearest, least)
