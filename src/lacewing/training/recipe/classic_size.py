"""The image size of classic training whose epochs are too many for its budget: a smaller one.

A smaller image costs less by the square of its side, and an epoch that the clock cuts off is
lost whole, with the end of the learning rate's schedule.
"""

from collections.abc import Sequence
from dataclasses import replace

from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS
from lacewing.models.catalog import ModelInfo
from lacewing.performance_config import load_tiers
from lacewing.training.recipe.budget import RESERVE
from lacewing.training.recipe.closing import REPORT_SECONDS
from lacewing.training.recipe.fallback import fell_back
from lacewing.training.recipe.prepare import with_growth
from lacewing.training.recipe.size import sides
from lacewing.training.setup import Prepared, decide, job_of
from lacewing.values import Choice, counted, format_seconds

LEAST_SHARE = 0.5
"""Of the tier's side: what was pretrained on larger images sees little in smaller ones."""


def with_size_fitted(
    ready: Prepared, tried: Prepared, spent: float, backends: BackendTable = BACKENDS
) -> Prepared | None:
    """`ready` at an image size for the budget; None where nothing is to be changed.

    `tried` is the same after the trial, whose forecast it goes by; `spent` is how many seconds of
    the budget are gone.
    """
    size = fitting_size(tried, spent)
    if size is None:
        return None
    config = replace(ready.config, image_size=size.value)
    job = job_of(config, ready.info, ready.weights, ready.index)
    plan = decide(config, ready.machine, job, load_tiers(config.tiers), backends)
    plan = replace(plan, image_size=size, notes=ready.plan.notes)
    return with_growth(replace(ready, config=config, plan=plan))


def fitting_size(prepared: Prepared, spent: float) -> Choice[int] | None:
    """The largest smaller size at which the run fits its budget, or the smallest; None where it
    fits as it is, or the size is not to be chosen."""
    config, plan = prepared.config, prepared.plan
    is_free = config.image_size is None and config.plan is None
    if config.budget is None or not (config.is_classic and is_free):
        return None
    if plan.measured is None or fell_back(prepared.asked, config):
        return None
    left = config.budget * (1 - RESERVE) - spent - REPORT_SECONDS
    now, run = plan.image_size.value, plan.measured.forecast.get("run_seconds", 0.0)
    sizes = smaller_sizes(prepared.info, now)
    if run <= left or not sizes:
        return None
    left -= plan.measured.seconds  # another size has a trial of its own
    size = first_within(sizes, now, run, left)
    reason = (
        f"by the budget: {counted(config.epochs, 'epoch')} at {now} would take "
        f"{format_seconds(run)} of {format_seconds(max(0.0, left))}, at {size} about "
        f"{format_seconds(run * (size / now) ** 2)}"
    )
    return Choice(size, reason, "measured", {f"run_seconds_at_{now}": run})


def smaller_sizes(info: ModelInfo, size: int) -> list[int]:
    """Sides below this one, the largest first; none for a network that is built for its size."""
    if info.fixed_size or info.built_for_size:
        return []
    least = max(LEAST_SHARE * size, info.min_size)
    return [side for side in sides(info, least, size) if side < size]


def first_within(sizes: Sequence[int], size: int, seconds: float, left: float) -> int:
    """The first of the sizes whose work, of `seconds` at `size`, is done in time; else the last."""
    fitting = (one for one in sizes if seconds * (one / size) ** 2 <= left)
    return next(fitting, sizes[-1])
