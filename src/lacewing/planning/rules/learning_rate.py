"""The learning rate: linear scaling with the batch (Goyal et al. 2017), times the tier's factor."""

from lacewing.performance_config import Tier
from lacewing.planning.job import REFERENCE_BATCH, Job
from lacewing.planning.rules.batch import BatchChoices
from lacewing.values import Choice


def choose(
    asked: float | None, batches: BatchChoices, tier: Tier, tier_name: str, job: Job
) -> Choice[float]:
    """The asked rate at the requested batch, or the optimiser's usual one, scaled.

    Where accumulation keeps the requested batch the rate is left alone: the tier's factor
    goes with the smaller steps of its devices.
    """
    if asked is not None:
        base, reference, start = asked, batches.requested, f"{asked:g}"
    else:
        base, reference = job.default_learning_rate, REFERENCE_BATCH
        start = f"{job.optimizer}'s usual {base:g}"
    factor = 1.0 if batches.kept else tier.learning_rate_factor
    batch = batches.batch.value
    # the ratio first: it is 1 for an unchanged batch, and the rate then exactly the asked one
    rate = base * (batch / reference) * factor
    evidence = {"base": base, "batch": batch, "reference_batch": reference, "factor": factor}
    if rate == asked:
        return Choice(rate, "asked for, and the batch is as requested", "user", evidence)
    times = "" if factor == 1 else f" x {factor:g}"
    why = _why(factor, lowered_on_cpu=tier_name == "cpu" and batch < reference)
    return Choice(rate, f"{start} x {batch}/{reference}{times}: {why}", "rule", evidence)


def _why(factor: float, lowered_on_cpu: bool) -> str:
    if factor != 1:
        return "with the batch, and the tier's factor"
    if lowered_on_cpu:
        return "the linear rule already lowers it"
    return "linear in the batch"
