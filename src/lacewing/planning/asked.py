"""Flags beside a plan from a file: what was asked for must be what the plan says."""

from collections.abc import Sequence
from math import isclose
from typing import Any

from lacewing.config import TrainConfig
from lacewing.errors import ConfigError
from lacewing.hardware.backends import parse_address
from lacewing.performance_config import Tier
from lacewing.planning.document import show
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules import learning_rate
from lacewing.planning.rules.batch import BatchChoices
from lacewing.planning.trial.sizes import sizes_of_shares, step_on

AS_ASKED = (
    "image_size", "precision", "memory_format", "compile", "workers", "threads", "memory_share",
)  # fmt: skip
"""Decisions that a flag of the same name settles."""
DECIDES = {"batch_size": "batch"}
"""The decision of a flag that has another name."""


def check_asked(config: TrainConfig, plan: Plan, job: Job, tier: Tier) -> None:
    """Raise ConfigError for a flag that was given beside the plan file, which says otherwise.

    None and auto leave the decision to the plan; a batch of auto is one that was measured.
    """
    for flag, values in fitting_values(config, plan, job, tier).items():
        asked, name = getattr(config, flag), DECIDES.get(flag, flag)
        said = plan.choices()[name].value
        is_open = asked is None or (asked == "auto" and flag != "batch_size")
        if is_open or any(is_same(said, value) for value in values):
            continue
        raise ConfigError(
            f"--plan {config.plan} says {name} {show(name, said)} and "
            f"--{flag.replace('_', '-')} says {in_words(asked, values)}: change the file, or "
            "leave the flag out."
        )


def fitting_values(
    config: TrainConfig, plan: Plan, job: Job, tier: Tier
) -> dict[str, tuple[Any, ...]]:
    """What a plan may say, by the flag that was given; first what the rules make of the flag."""
    return {
        "device": addresses(config.device),
        **{name: (getattr(config, name),) for name in AS_ASKED},
        "batch_size": batches(config, plan, job, tier),
        "learning_rate": rates(config, plan, job, tier),
    }


def addresses(device: str | None) -> tuple[str, ...]:
    """The spellings of a device: `cuda:0` is `cuda`."""
    if device is None or device == "auto":
        return ()
    kind, index = parse_address(device)
    return (device, f"{kind}:{index}") if index else (device, kind, f"{kind}:0")


def batches(config: TrainConfig, plan: Plan, job: Job, tier: Tier) -> tuple[int, ...]:
    """What may come of a requested batch: all of it or, if not accumulated, the tier's share.

    As the rules make it, or as the trial rounds it. For auto, the plan's own where it was measured.
    """
    if config.batch_size == "auto":
        return (plan.batch.value,) if plan.batch.source == "measured" else ()
    if not isinstance(config.batch_size, int):
        return ()
    whole = min(config.batch_size, job.training_images)
    if config.accumulate:
        return (config.batch_size, whole)
    shares = (size for step in (1, step_on(plan)) for size in sizes_of_shares(whole, tier, step))
    return (config.batch_size, whole, *shares)


def rates(config: TrainConfig, plan: Plan, job: Job, tier: Tier) -> tuple[float, ...]:
    """What an asked learning rate is at the plan's batch, and as it was asked."""
    if config.asked_rate is None:
        return ()
    requested = config.batch_size if isinstance(config.batch_size, int) else None
    choices = BatchChoices(
        requested or plan.batch.value,
        plan.micro_batch,
        plan.accumulation,
        plan.batch,
        kept=requested is not None and config.accumulate,
    )
    scaled = learning_rate.choose(config.asked_rate, choices, tier, plan.tier.value, job)
    return (scaled.value, config.asked_rate)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal; of two rates or shares, but for rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-6)
    return bool(one == other)


def in_words(asked: Any, fitting: Sequence[Any]) -> str:
    """What was asked, and what the plan's batch makes of a rate."""
    if isinstance(asked, float) and not is_same(asked, fitting[0]):
        return f"{asked:g}, which is {fitting[0]:.3g} at its batch"
    return str(asked)
