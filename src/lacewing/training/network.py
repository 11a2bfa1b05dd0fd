"""`--model auto`: the network, by its speed on this machine and its known quality."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lacewing.config import TrainConfig
from lacewing.errors import WeightsError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS, backend_for
from lacewing.models.build import build_model
from lacewing.models.candidates import CANDIDATES, Candidate
from lacewing.models.catalog import ModelInfo, find_model
from lacewing.models.sources import FetchError, check_reachable, hub_address, weights_state
from lacewing.training.recipe.budget import LEAST_SECONDS
from lacewing.training.recipe.length import STEP_TO_FORWARD
from lacewing.training.recipe.size import PASS_SHARE, Speed, views_for
from lacewing.training.recipe.speed import forward_speed
from lacewing.training.setup import Prepared, Seen, check_words, decide, job_of, look, prepare
from lacewing.values import Choice, format_seconds

AUTO = "auto"
PROBE_BATCH = 4
"""Images of one timed pass on a CPU: enough for a rate, and a slow network is soon found out."""
DEVICE_PROBE_BATCH = 32
"""The same elsewhere, where the time of a few is that of starting the operations."""
CLASSIC_SECONDS = 3600.0
"""What classic training may take where no --budget is given."""


@dataclass(frozen=True)
class Rated:
    """A candidate as it was found here."""

    candidate: Candidate
    speed: Speed | None
    """Of forward-only passes; None where it was not timed."""
    seconds: float | None
    """What its work takes by that speed."""
    note: str
    """Why it is out, or how it stands."""


def prepare_with_network(
    config: TrainConfig, backends: BackendTable = BACKENDS, seen: Seen | None = None
) -> Prepared:
    """`prepare`, after the network has been chosen where that was asked for."""
    if config.model != AUTO:
        return prepare(config, backends, seen)
    seen = seen or look(config, check_words(config), backends)
    rated = rate(config, seen, backends)
    choice = choose_network(rated, allowed_seconds(config))
    prepared = prepare(replace(config, model=choice.value.candidate.name), backends, seen)
    plan = replace(prepared.plan, notes=(*prepared.plan.notes, choice.reason))
    return replace(prepared, asked=config, plan=plan, networks=network_rows(rated, choice.value))


def allowed_seconds(config: TrainConfig) -> float:
    """Seconds for the work by which networks are rated: the feature pass, or all epochs."""
    if config.is_classic:
        return config.budget or CLASSIC_SECONDS
    return PASS_SHARE * (config.budget or LEAST_SECONDS)


def rate(config: TrainConfig, seen: Seen, backends: BackendTable) -> list[Rated]:
    """The candidates, timed from the cheapest on until one is too slow. Raises WeightsError."""
    allowed, rated, slow = allowed_seconds(config), [], False
    reachable: bool | None = None
    for candidate in CANDIDATES:
        info = find_model(candidate.name)
        state = weights_state(info.library, info.architecture)
        if state == "download" and reachable is None:
            reachable = is_reachable()
        if state == "none" or (state == "download" and not reachable):
            rated.append(Rated(candidate, None, None, "its weights are not here"))
        elif slow:
            rated.append(Rated(candidate, None, None, "slower still: not timed"))
        else:
            speed = time_network(config, seen, info, backends)
            seconds = work_seconds(config, seen, info, speed)
            slow = seconds > allowed
            rated.append(Rated(candidate, speed, seconds, "too slow" if slow else ""))
    if all(one.speed is None for one in rated):
        raise WeightsError(
            "--model auto found no weights of its networks here and no way to fetch them: connect "
            "once, or name a network with --model."
        )
    return rated


def is_reachable() -> bool:
    """Whether weights can be fetched at all."""
    try:
        check_reachable(hub_address())
    except FetchError:
        return False
    return True


def time_network(config: TrainConfig, seen: Seen, info: ModelInfo, backends: BackendTable) -> Speed:
    """Images per second forward at the network's own size, on the device of the run.

    Speed does not depend on the weights, so random ones do.
    """
    job = job_of(config, info, None, seen.index)
    plan = decide(config, seen.machine, job, seen.tiers, backends)
    backend, number = backend_for(plan.device.value, backends)
    backend.configure(plan.eval_precision.value, plan.threads.value, config.deterministic)
    model = build_model(info, len(seen.index.classes), 0.0, None, info.native_size)
    model = model.to(backend.torch_device(number))
    images = PROBE_BATCH if backend.kind == "cpu" else DEVICE_PROBE_BATCH
    execution = replace(plan.eval_execution, micro_batch=images)
    return forward_speed(model, backend, number, execution, info.native_size)


def work_seconds(config: TrainConfig, seen: Seen, info: ModelInfo, speed: Speed) -> float:
    """What the network's work takes: every image forward, or all epochs of training."""
    training, validation = (len(seen.index.split(name)) for name in ("train", "val"))
    if config.is_classic:
        epochs = min(config.epochs, config.limit_epochs or config.epochs)
        images = epochs * (STEP_TO_FORWARD * training + validation)
    else:
        images = views_for(training, len(seen.index.classes)) * training + validation
    return speed.seconds(round(images), config.image_size or info.native_size)


def choose_network(rated: Sequence[Rated], allowed: float) -> Choice[Rated]:
    """The most accurate network on ImageNet whose work fits; the fastest if none does."""
    timed = [one for one in rated if one.seconds is not None]
    fitting = [one for one in timed if one.seconds is not None and one.seconds <= allowed]
    # the last of equals, which costs more: `max` takes the first
    best = max(fitting[::-1], key=lambda one: one.candidate.imagenet) if fitting else timed[0]
    assert best.seconds is not None
    assert best.speed is not None
    why = "the best on ImageNet that fits the time" if fitting else "the fastest, and none fits"
    reason = (
        f"--model auto took {best.candidate.name}, {why}: {best.candidate.imagenet:.1f} % there, "
        f"{best.speed.images_per_second:.0f} images/s forward here, about "
        f"{format_seconds(best.seconds)} of the {format_seconds(allowed)} there are."
    )
    return Choice(best, reason, "measured", {"images_per_second": best.speed.images_per_second})


def network_rows(
    rated: Sequence[Rated], chosen: Rated
) -> tuple[tuple[str, str, str, str, str], ...]:
    """Network, accuracy on ImageNet, images per second, time of its work, and a note."""
    return tuple(
        (
            one.candidate.name,
            f"{one.candidate.imagenet:.1f} %",
            "-" if one.speed is None else f"{one.speed.images_per_second:.0f}",
            "-" if one.seconds is None else format_seconds(one.seconds),
            "chosen" if one is chosen else one.note,
        )
        for one in rated
    )
