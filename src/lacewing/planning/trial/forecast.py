"""How long the run will take: steps, augmentation, decoding, validation, the final judging."""

from dataclasses import dataclass, replace
from statistics import fmean

from lacewing.planning.loaders import keep_for_evaluation
from lacewing.planning.plan import Plan
from lacewing.planning.rules.compile import usual_seconds
from lacewing.planning.rules.loading import decoders
from lacewing.planning.trial.findings import CompileTime, Findings


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much there is to do."""

    training: int
    """Images of each split."""
    validation: int
    test: int
    epochs: int
    processes: int = 1
    """That share the steps and the validation; one of them judges."""
    work_shares: tuple[float, ...] = ()
    """What each epoch's steps take of those at the full image size; () where all take that."""
    eval_share: float = 1.0
    """What a forward-only pass takes of one at the full image size; see `larger_in_evaluation`."""
    undecoded: tuple[float, float] = (1.0, 1.0)
    """Of training and of validation, the share that the first epoch decodes: the disk may have
    pixels of earlier runs."""
    judges: bool = True
    """Whether the run is judged at its end."""


def larger_in_evaluation(eval_size: int | None, size: int) -> float:
    """Pixels of an image that is judged over those of one that is trained on, of side `size`."""
    return ((eval_size or size) / size) ** 2


def forecast(plan: Plan, findings: Findings, amounts: Amounts, cores: int) -> dict[str, float]:
    """Seconds of the first epoch, of each later one, of the judging, and of the run.

    Loading runs beside the network: on a GPU it costs only where it is the slower of the
    two, on the CPU both share the cores. Where images grow, a later epoch is the mean of all.
    Whatever is compiled is so in the first.
    """
    batch = plan.batch.value
    steps = amounts.training // batch
    images = steps * batch / amounts.processes
    validated = amounts.validation / amounts.processes
    shares = amounts.work_shares or (1.0,)
    validating = validated * amounts.eval_share / (findings.best_forward.rate or 1.0)
    decoding = findings.decode_seconds
    decodes = replace(plan, workers=replace(plan.workers, value=decoders(plan.workers, cores)))
    kept, kept_seen = plan.pixels.value, keep_for_evaluation(plan)
    # earlier runs left theirs on the disk, where nothing else looks
    training_share = amounts.undecoded[0] if kept == "disk" else 1.0
    validation_share = amounts.undecoded[1] if kept_seen == "disk" else 1.0
    reading = waiting(decodes, validation_share * validated * decoding, validating, cores)
    each = pass_seconds_per_image(plan, findings)

    def training(share: float, opening: float) -> float:
        computing = images * (share * each + findings.augment_seconds)
        computing += steps * findings.average_seconds  # every process keeps it
        loading = images * (opening + findings.prepare_seconds)
        return computing + waiting(plan, loading, computing, cores)

    first = training(shares[0], training_share * decoding) + validating + reading
    first += compile_seconds(plan, findings)
    opening = decoding if kept == "none" else 0.0
    later = training(fmean(shares[1:] or shares), opening) + validating
    later += reading if kept_seen == "none" else 0.0
    judged = amounts.validation + amounts.test if amounts.judges else 0
    judging = judged * amounts.eval_share * findings.plain_seconds
    judging += waiting(decodes, judged * decoding, judging, cores)
    return {
        "first_epoch_seconds": first,
        "epoch_seconds": later,
        "epochs": float(amounts.epochs),
        "judge_seconds": judging,
        "run_seconds": first + later * (amounts.epochs - 1) + judging,
    }


def pass_seconds_per_image(plan: Plan, findings: Findings) -> float:
    """Of the plan's micro-batch, where that was timed; else of the one that was.

    A compiled network was timed in passes of the best way's images.
    """
    compiled, best = compiled_as(plan, findings), findings.best
    if compiled and compiled.pass_seconds:
        return compiled.pass_seconds / best.way.images
    timed = [one for one in findings.sizes if one.way.images == plan.micro_batch.value]
    best = timed[0] if timed and timed[0].seconds else best
    return (best.seconds or 0.0) / best.way.images


def compiled_as(plan: Plan, findings: Findings) -> CompileTime | None:
    """What was timed in the plan's mode of torch.compile; None for `off`."""
    return next((one for one in findings.compile_tried if one.mode == plan.compile.value), None)


def compile_seconds(plan: Plan, findings: Findings) -> float:
    """What compiling takes as it was measured, here or in an earlier run, or as it usually does."""
    if plan.compile.value == "off":
        return 0.0
    compiled = compiled_as(plan, findings)
    if compiled is not None:
        return compiled.cost_seconds
    mode = plan.compile.value
    return findings.compile_cost_seconds.get(mode, usual_seconds(mode))


def waiting(plan: Plan, loading: float, computing: float, cores: int) -> float:
    """Seconds that so many of the loader's, in one thread, add to `computing` of the network's."""
    workers = plan.workers.value
    if workers == 0:
        return loading
    if plan.device.value == "cpu":
        return loading / max(1, min(cores, workers + 1))
    return max(0.0, loading / workers - computing)


def expected_seconds(forecast: dict[str, float], epochs: float) -> float:
    """What the forecast says of so many epochs or parts of one, the judging at the end left out."""
    first = min(1.0, epochs) * forecast["first_epoch_seconds"]
    return first + max(0.0, epochs - 1) * forecast["epoch_seconds"]
