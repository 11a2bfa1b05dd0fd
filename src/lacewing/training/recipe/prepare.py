"""What a recipe changes of the configuration and the plan, before the run begins."""

from dataclasses import replace
from functools import partial

from lacewing.config import TrainConfig
from lacewing.engine.optimizers import ADAM_RATES, find_optimizer
from lacewing.errors import ConfigError, ModelError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS, backend_for
from lacewing.models.build import build_model, linear_head, preprocessing_for
from lacewing.models.catalog import ModelInfo
from lacewing.models.weights import Weights
from lacewing.planning.growth import sides_of, with_growth_said
from lacewing.planning.job import REFERENCE_BATCH
from lacewing.planning.norms import keeps_statistics
from lacewing.planning.rules.batch import eval_batch_within
from lacewing.planning.rules.memory import choose_pixels
from lacewing.training.few_images import few_images_note
from lacewing.training.recipe.budget import LEAST_SECONDS, usual_seconds
from lacewing.training.recipe.closing import allowance_of
from lacewing.training.recipe.finetune import RATE, asked_epochs
from lacewing.training.recipe.forward import fastest_forward
from lacewing.training.recipe.idle import with_idle_said
from lacewing.training.recipe.length import ENOUGH_EPOCHS, least_seconds
from lacewing.training.recipe.size import Speed, choose_pass, views_for
from lacewing.training.recipe.speed import decode_seconds, decoding_adds
from lacewing.training.setup import Prepared, job_of
from lacewing.values import Choice, format_seconds

NEW_HEAD_RATE = 10.0
"""A head that starts from nothing learns faster than the pretrained rest (the discriminative
rates of Howard and Ruder 2018, arXiv:1801.06146, in their simplest form)."""
FAR_ABOVE = 3.0
"""Times the usual rate of fine-tuning that can hardly be meant for it."""
FULL_TO_FASTEST = 2.0
"""What a pass in full precision, by which a model is judged, takes of one in the fastest."""
TRIAL_SHARE = 0.04
"""Of the budget, for measuring how training steps are best run."""


def with_recipe_decided(
    prepared: Prepared, backends: BackendTable = BACKENDS, spent: float = 0.0
) -> Prepared:
    """The recipe named, the head's rate set, and the image size measured where it is free; what
    was asked for in vain is said.

    `spent` is how many seconds of the budget are gone.
    """
    return with_idle_said(recipe_decided(prepared, backends, spent))


def recipe_decided(prepared: Prepared, backends: BackendTable, spent: float) -> Prepared:
    """The same, without a word on what was asked for in vain."""
    config = decided(prepared.config, prepared.info, prepared.weights)
    prepared = replace(prepared, config=config)
    if config.plan is not None:
        return prepared
    if config.recipe == "classic":
        return with_growth(prepared)
    prepared, speed = with_forward_timed(with_eval_size(prepared), backends)
    if speed is None:
        return prepared
    seconds = max(0.0, config.budget - spent) if config.budget else LEAST_SECONDS
    return with_reach(with_pass(prepared, speed, seconds), speed, seconds)


def with_gentle_rate(prepared: Prepared) -> Prepared:
    """Fine-tuning's learning rate for the plan's batch, where none was asked for.

    That of a plan from a file stands; a note says where it is another kind of training's.
    """
    config, plan = prepared.config, prepared.plan
    if config.recipe != "finetune" or config.learning_rate is not None:
        return prepared
    batch, usual = plan.batch.value, gentle_rate(config.optimizer)
    if config.plan is not None:
        times = plan.learning_rate.value / (usual * batch / REFERENCE_BATCH)
        note = (
            f"The learning rate of {config.plan} is {times:.0f} times what fine-tuning usually "
            "takes: a plan for classic training? --recipe classic carries it out as such."
        )
        notes = (*plan.notes, note) if times > FAR_ABOVE else plan.notes
        return replace(prepared, plan=replace(plan, notes=notes))
    reason = (
        f"{config.optimizer.lower()}'s {usual:g} x {batch}/{REFERENCE_BATCH}: gentle, since the "
        "head is fitted first"
    )
    rate = Choice(usual * batch / REFERENCE_BATCH, reason, "rule")
    return replace(prepared, plan=replace(plan, learning_rate=rate))


def gentle_rate(optimizer: str) -> float:
    """Fine-tuning's rate for 32 images per step: AdamW's, as other optimisers' are to AdamW's."""
    return RATE * (find_optimizer(optimizer).rates.fine_tune / ADAM_RATES.fine_tune)


def with_growth(prepared: Prepared) -> Prepared:
    """The sides of growing images in the plan, if there are any."""
    plan = prepared.plan
    sides = sides_of(prepared.config, prepared.info, plan.image_size.value)
    return replace(prepared, plan=with_growth_said(plan, sides))


def with_norms_decided(prepared: Prepared) -> Prepared:
    """Whether BatchNorm's statistics stay, by the passes of the finished plan.

    Where it was not asked, classic training says so in the plan's notes. These also say where the
    statistics are made of too few images.
    """
    config, plan = prepared.config, prepared.plan
    images = plan.micro_batch.value
    kept = keeps_statistics(config, prepared.weights is not None, images)
    notes = plan.notes
    if kept and config.freeze_norms is None and config.recipe == "classic":
        note = (
            f"BatchNorm keeps its pretrained statistics: {images} images of a pass are too few "
            "for new ones (--freeze-norms False lets them go)."
        )
        notes = (*notes, note)
    settled = replace(prepared, config=replace(config, freeze_norms=kept))
    few = few_images_note(settled)
    notes = notes if few is None else (*notes, few)
    return replace(settled, plan=replace(plan, notes=notes))


def decided(config: TrainConfig, info: ModelInfo, weights: Weights | None) -> TrainConfig:
    """The configuration with nothing left open. Raises ConfigError for an impossible recipe."""
    recipe = config.recipe or "classic"
    lacking = lack(info, weights) if recipe != "classic" else None
    if lacking and recipe != "auto":
        raise ConfigError(f"--recipe {recipe} {lacking}: use --recipe classic.")
    if recipe == "auto":
        recipe = "classic" if lacking else "finetune"
    return replace(
        config,
        recipe=recipe,
        tta=config.tta or ("off" if recipe == "classic" else "auto"),
        head_rate=config.head_rate or head_rate(config, weights, recipe),
        decay_norms=config.decay_norms and recipe == "classic",
        plan_budget=config.plan_budget if recipe == "classic" else trial_seconds(config),
    )


def trial_seconds(config: TrainConfig) -> float:
    """What the trial of a training step may take: a small share of the recipe's time."""
    return config.plan_budget or TRIAL_SHARE * (config.budget or LEAST_SECONDS)


def lack(info: ModelInfo, weights: Weights | None) -> str | None:
    """Why there are no features worth a head; None if there are."""
    if weights is None:
        return "builds on pretrained weights, and there are none"
    try:
        linear_head(build_model(info, 2, 0.0, None, info.native_size))
    except ModelError:
        return f"needs a network that ends in one linear layer, and {info.name} does not"
    return None


def head_rate(config: TrainConfig, weights: Weights | None, recipe: str) -> float:
    """The head's rate over the others': only a new head on pretrained weights has its own."""
    given = config.load_model or config.weights is not None
    new = recipe == "classic" and weights is not None and not given
    return NEW_HEAD_RATE if new and config.asked_rate is None else 1.0


def with_forward_timed(prepared: Prepared, backends: BackendTable) -> tuple[Prepared, Speed | None]:
    """The plan with the fastest forward-only passes, and their speed at the network's own size."""
    config, plan, info = prepared.config, prepared.plan, prepared.info
    backend, index = backend_for(plan.device.value, backends)
    size = config.image_size or info.native_size
    make_model = partial(
        build_model, info, len(prepared.index.classes), 0.0, prepared.weights, size
    )
    plan, speed = fastest_forward(make_model, prepared, backend, index, size)
    return replace(prepared, plan=plan), speed


def with_eval_size(prepared: Prepared) -> Prepared:
    """`--eval-size` as that of the plan and so of the features, where no other is asked for."""
    config = prepared.config
    if config.image_size is not None or config.eval_size is None:
        return prepared
    return sized(prepared, Choice(config.eval_size, "asked for, as that of judging", "user"))


def with_pass(prepared: Prepared, speed: Speed, seconds: float) -> Prepared:
    """The largest image size whose feature pass the seconds of the run allow."""
    config, index, plan = prepared.config, prepared.index, prepared.plan
    if config.image_size is not None or config.eval_size is not None:
        return prepared
    train, val, test = (len(index.split(name)) for name in ("train", "val", "test"))
    views = views_for(train, len(index.classes))
    full = 1.0 if plan.eval_precision.value == "fp32" else FULL_TO_FASTEST
    judging = replace(speed, images_per_second=speed.images_per_second / full)
    judged = 2 * val + test if config.evaluate else val
    rule = preprocessing_for(prepared.info, speed.size, prepared.weights)
    decoding = decoding_adds(plan, decode_seconds(index, rule))
    allowance = allowance_of(seconds, judging, train + val, judged, decoding)
    chosen = choose_pass(prepared.info, train + val, views, speed, allowance)
    size = Choice(chosen.value.size, chosen.reason, chosen.source, chosen.evidence)
    return sized(prepared, size)


def sized(prepared: Prepared, size: Choice[int]) -> Prepared:
    """The plan at another image size, by which decoded images have another place too, and fewer of
    them a pass where there is little memory."""
    plan = prepared.plan
    job = job_of(prepared.config, prepared.info, prepared.weights, prepared.index)
    pixels = choose_pixels(job.cache_bytes(size.value), job.disk_bytes, prepared.machine)
    eval_batch = eval_batch_within(plan.eval_batch, size.value, plan.memory_bytes.value)
    plan = replace(plan, image_size=size, pixels=pixels, eval_batch=eval_batch)
    return replace(prepared, plan=plan)


def with_reach(prepared: Prepared, speed: Speed, seconds: float) -> Prepared:
    """Features alone where `--recipe auto` can't reach fine-tuning in so many seconds.

    Without a budget a long feature pass makes the run longer, as `usual_seconds` has it.
    """
    config, size = prepared.config, prepared.plan.image_size.value
    if prepared.asked.recipe != "auto" or asked_epochs(config) is not None:
        return prepared
    training = len(prepared.index.split("train"))
    first = speed.seconds(training + len(prepared.index.split("val")), size)
    images, grows = training // prepared.processes, config.progressive_resizing
    least = least_seconds(prepared.info, size, images, speed, grows=grows)
    there = seconds if config.budget else usual_seconds(first)
    if first + least <= there:
        return prepared
    note = (
        f"Fine-tuning is out of reach: with the features, {ENOUGH_EPOCHS} epochs would take at "
        f"least {format_seconds(first + least)} of {format_seconds(there)}, so a head is fitted "
        f"to frozen features (--budget gives more time)."
    )
    plan = replace(prepared.plan, notes=(*prepared.plan.notes, note))
    return replace(prepared, config=replace(config, recipe="features"), plan=plan)
