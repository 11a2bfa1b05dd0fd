"""What a budget would buy: network, image size, views and epochs, by speeds measured here.

Nothing is said of the accuracy: that is for the validation images to tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lacewing.errors import PlanError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS, backend_for
from lacewing.models.build import build_model, preprocessing_for
from lacewing.models.catalog import ModelInfo
from lacewing.planning.trial.fitting import no_room
from lacewing.training.recipe.budget import RESERVE
from lacewing.training.recipe.closing import (
    REPORT_SECONDS,
    allowance_of,
    closing_of,
    in_full_precision,
)
from lacewing.training.recipe.fallback import epochs_in
from lacewing.training.recipe.finetune import asked_epochs, timed_size
from lacewing.training.recipe.length import Length, choose_length, training_sizes
from lacewing.training.recipe.prepare import decided
from lacewing.training.recipe.size import Pass, Speed, choose_pass, views_for
from lacewing.training.recipe.speed import (
    decode_seconds,
    decoding_adds,
    forward_speed,
    training_speed,
)
from lacewing.training.setup import Prepared
from lacewing.values import counted, format_seconds

COLUMNS = ("budget", "network", "features", "epochs", "time")


@dataclass(frozen=True)
class Amounts:
    """Images of each split, and classes; what was asked of the recipe."""

    train: int
    val: int
    test: int
    classes: int
    tunes: bool = True
    """Whether fine-tuning follows the head."""
    size: int | None = None
    """Side of the images in the feature pass and in judging, where it was asked for; of all images
    in classic training."""
    epochs: int | None = None
    """Of fine-tuning, where they were asked for."""
    judges: bool = True
    """Whether the finished model is judged."""
    mixes: bool = True
    """Whether means of weights are compared after fine-tuning."""
    grows: bool = False
    """Whether fine-tuning begins on smaller images."""
    tta: str | None = None
    """As in TrainConfig, decided."""


@dataclass(frozen=True)
class Speeds:
    """Of one network on this machine."""

    forward: Speed
    """In the precision that is fastest forward."""
    judging: Speed
    """In full precision."""
    training: Speed
    decoding: float
    """Seconds that it adds to each image of a pass."""


@dataclass(frozen=True)
class Outlook:
    """What one budget would buy."""

    seconds: float
    """The budget."""
    network: str
    features: Pass | None
    """None in classic training."""
    training: Length | None
    """Fine-tuning, or classic training; None where the budget ends with the head on frozen
    features."""
    needed: float
    """Seconds that all of it takes."""


def look_ahead(
    info: ModelInfo, amounts: Amounts, speeds: Speeds, seconds: float, spent: float
) -> Outlook:
    """The stages that fit into `seconds`, of which `spent` go before the first of them."""
    left = max(0.0, seconds * (1 - RESERVE) - spent)
    images = amounts.train + amounts.val
    judged = amounts.val + amounts.test if amounts.judges else 0
    features = pass_of(info, amounts, speeds, left, amounts.val + judged)
    seen = features.views * amounts.train + amounts.val
    passing = speeds.forward.seconds(seen, features.size) + speeds.decoding * images
    judging = speeds.decoding * judged + speeds.judging.seconds(judged, features.size)
    validating = speeds.forward.seconds(amounts.val, features.size)
    again = validating + speeds.decoding * amounts.val
    mixes = amounts.tunes and amounts.mixes
    closing = closing_of(amounts.tta, amounts.val, again, judging, mixes=mixes)
    rest = left - passing - closing.reserved(seconds)
    length = None
    if amounts.tunes and rest > 0:
        length = choose_length(
            info,
            features.size,
            amounts.train,
            speeds.training,
            validating,
            rest,
            amounts.epochs,
            grows=amounts.grows,
        )
    if length is None:
        closing = closing_of(amounts.tta, amounts.val, again, judging)
    needed = spent + passing + closing.reserved(seconds) + (length.seconds if length else 0.0)
    return Outlook(seconds, info.name, features, length, needed)


def look_at_classic(
    info: ModelInfo, amounts: Amounts, speeds: Speeds, seconds: float, spent: float
) -> Outlook:
    """The same of classic training that `--recipe auto` falls back on: as many epochs as there is
    time for, none where that is too short for a whole one."""
    assert amounts.size is not None
    judged = amounts.val + amounts.test if amounts.judges else 0
    judging = speeds.decoding * judged + speeds.judging.seconds(judged, amounts.size)
    beside = spent + REPORT_SECONDS + judging
    left = max(0.0, seconds * (1 - RESERVE) - beside)
    validating = speeds.forward.seconds(amounts.val, amounts.size)
    later = speeds.training.seconds(amounts.train, amounts.size) + validating
    first = later + speeds.decoding * (amounts.train + amounts.val)
    epochs = epochs_in(left, first, later) if left >= first else 0
    taken = min(left, first + max(0, epochs - 1) * later)
    return Outlook(seconds, info.name, None, Length(amounts.size, epochs, taken), beside + taken)


def pass_of(info: ModelInfo, amounts: Amounts, speeds: Speeds, left: float, judged: int) -> Pass:
    """The feature pass: of the size that was asked for, or the largest that the time allows."""
    images, views = amounts.train + amounts.val, views_for(amounts.train, amounts.classes)
    if amounts.size is not None:
        return Pass(amounts.size, views)
    allowance = allowance_of(left, speeds.judging, images, judged, speeds.decoding)
    return choose_pass(info, images, views, speeds.forward, allowance).value


def measure_speeds(prepared: Prepared, backends: BackendTable = BACKENDS) -> Speeds:
    """Time the network of a plan: forward, forward in full precision, and a training step.

    Raises PlanError where no step fits the memory.
    """
    plan, info = prepared.plan, prepared.info
    backend, number = backend_for(plan.device.value, backends)
    backend.configure(plan.eval_precision.value, plan.threads.value, prepared.config.deterministic)
    size = info.native_size
    model = build_model(info, len(prepared.index.classes), 0.0, prepared.weights, size)
    model = model.to(backend.torch_device(number))
    full = in_full_precision(plan.eval_execution, backend.kind)
    side = timed_size(training_sizes(info, size), backend.kind)
    training = training_speed(model, backend, number, plan.execution, side, plan.batch.value)
    if training is None:
        free = backend.memory(number).free_bytes
        raise PlanError(no_room(info, plan, prepared.config.optimizer, free))
    rule = preprocessing_for(info, size, prepared.weights)
    return Speeds(
        forward=forward_speed(model, backend, number, plan.eval_execution, size),
        judging=forward_speed(model, backend, number, full, size),
        training=training,
        decoding=decoding_adds(plan, decode_seconds(prepared.index, rule)),
    )


def of_recipe(prepared: Prepared) -> Prepared:
    """The same with its recipe decided. Raises ConfigError for an impossible one."""
    return replace(prepared, config=decided(prepared.config, prepared.info, prepared.weights))


def amounts_of(prepared: Prepared) -> Amounts:
    """Images of each split, classes, and what the configuration, which is decided, asks for."""
    config, plan, index = prepared.config, prepared.plan, prepared.index
    train, val, test = (len(index.split(name)) for name in ("train", "val", "test"))
    size = config.eval_size or config.image_size
    if config.is_classic or (size is None and config.plan is not None):
        size = plan.image_size.value
    return Amounts(
        train,
        val,
        test,
        len(index.classes),
        tunes=config.recipe == "finetune",
        size=size,
        epochs=asked_epochs(config),
        judges=config.evaluate,
        mixes=config.wise_ft == "auto",
        grows=config.progressive_resizing,
        tta=config.tta,
    )


def outlook_rows(outlooks: Sequence[Outlook]) -> list[tuple[str, str, str, str, str]]:
    """Cells for COLUMNS, in words."""
    return [
        (
            format_seconds(one.seconds),
            one.network,
            features_in_words(one.features),
            epochs_in_words(one.training),
            late(one) or f"about {format_seconds(one.needed)}",
        )
        for one in outlooks
    ]


def features_in_words(features: Pass | None) -> str:
    """A cell."""
    if features is None:
        return "none: classic training"
    return f"{features.size} pixels, {'two views' if features.views == 2 else 'one view'}"


def epochs_in_words(training: Length | None) -> str:
    """A cell."""
    if training is None:
        return "none"
    epochs = counted(training.epochs, "epoch") if training.epochs else "a part of an epoch"
    return f"{epochs} at {training.size} pixels"


def late(one: Outlook) -> str:
    """A warning where the budget is too short for what can't be left out; "" elsewhere."""
    if one.needed <= one.seconds:
        return ""
    return f"too short: about {format_seconds(one.needed)} at least"
