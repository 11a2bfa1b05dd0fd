"""Side of the network's square input."""

from lacewing.errors import ModelError
from lacewing.performance_config import Tier
from lacewing.planning.job import Job
from lacewing.values import Choice


def choose(asked: int | None, judged: int | None, tier: Tier, job: Job) -> Choice[int]:
    """The tier's size, unless the network demands another; `judged` is that of validation, if
    asked for. Raises ModelError."""
    size = choose_for_training(asked, judged, tier, job)
    check_judged(judged, size.value, job)
    return size


def choose_for_training(asked: int | None, judged: int | None, tier: Tier, job: Job) -> Choice[int]:
    """The size of training images."""
    if asked is not None:
        check_asked(asked, job, "--image-size")
        return Choice(asked, "asked for", "user")
    if job.built_for_size and judged is not None:
        return Choice(judged, f"asked for judging: {job.model} is built for one size", "user")
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


def check_judged(asked: int | None, size: int, job: Job) -> None:
    """Raise ModelError for an --eval-size that the network can't take beside training's size."""
    if asked is None:
        return
    check_asked(asked, job, "--eval-size")
    if job.built_for_size and asked != size:
        raise ModelError(
            f"{job.model} is built for images of one size, but it is to be trained at {size} "
            f"pixels and --eval-size is {asked}: leave it out."
        )


def check_asked(asked: int, job: Job, flag: str) -> None:
    """Raise ModelError for a size that the network can't take; the flag asked for it."""
    if job.fixed_size and asked != job.native_size:
        raise ModelError(
            f"{job.model} accepts {job.native_size}-pixel images only, but {flag} is {asked}: "
            "leave it out."
        )
    if asked < job.min_size:
        raise ModelError(
            f"{job.model} needs images of at least {nearest_size(job.min_size, job)} pixels, "
            f"but {flag} is {asked}."
        )
    if asked % job.size_multiple:
        raise ModelError(
            f"{job.model} needs a multiple of {job.size_multiple} pixels, but {flag} is {asked}: "
            f"use {nearest_size(asked, job)}."
        )


def nearest_size(wanted: int, job: Job) -> int:
    """The nearest size that the network accepts; of two equally near, the smaller."""
    step = job.size_multiple
    below = wanted // step * step
    nearest = below if wanted - below <= step / 2 else below + step
    least = -(-job.min_size // step) * step
    return max(nearest, least)
