"""The learning rate: linear scaling with the batch (Goyal et al. 2017), times the tier's factor."""

from lacewing.performance_config import Tier
from lacewing.planning.job import REFERENCE_BATCH, Job
from lacewing.planning.rules.batch import BatchChoices
from lacewing.values import Choice


def choose(asked: float | None, batches: BatchChoices, tier: Tier, job: Job) -> Choice[float]:
    """The asked rate at the requested batch, or the optimiser's usual one, scaled."""
    factor = tier.learning_rate_factor
    batch = batches.batch.value
    if asked is None:
        rate = job.default_learning_rate * batch / REFERENCE_BATCH * factor
        start = "fine-tuning" if job.pretrained else "training from scratch"
        reason = (
            f"{job.optimizer}'s usual {job.default_learning_rate:g} for {start} at batch "
            f"{REFERENCE_BATCH}, x {batch}/{REFERENCE_BATCH}{_times(factor)}"
        )
        return Choice(rate, reason, "rule", {"batch": batch, "factor": factor})
    rate = asked * batch / batches.requested * factor
    if rate == asked:
        return Choice(rate, "asked for; the batch is the requested one", "user")
    reason = f"asked {asked:g} x {batch}/{batches.requested} (linear scaling){_times(factor)}"
    return Choice(rate, reason, "rule", {"asked": asked, "factor": factor})


def _times(factor: float) -> str:
    return "" if factor == 1 else f" x {factor:g} (the tier's factor)"
