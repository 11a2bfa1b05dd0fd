"""Flags that do nothing in a recipe: whoever asks for one is told."""

from dataclasses import replace

from lacewing.config import CLASSIC, TrainConfig, field_names
from lacewing.training.setup import Prepared

OF_IMAGES = frozenset(
    [
        "augment",
        "rotation",
        "flip",
        "color_jitter",
        "min_crop",
        "trivial_augment",
        "erasing",
        "mixup",
        "cutmix",
        "progressive_resizing",
    ]
)
"""What is done to training images, which a feature pass takes as they are."""
OF_LAYERS = frozenset(("layer_decay", "gradual_unfreezing"))
"""What is said of single layers, which all stay as they are but the head."""
IDLE = {
    "classic": frozenset(("wise_ft",)),
    "features": (CLASSIC - {"freeze_norms", "batch_size", "accumulate"})
    | OF_IMAGES
    | OF_LAYERS
    | {"wise_ft"},
}
"""Fields without effect, by the recipe that was decided. What a recipe sets itself is not among
them, so that a run's own config.yaml is silent."""
WORDS = {"classic": "in classic training", "features": "on a head on frozen features"}


def with_idle_said(prepared: Prepared) -> Prepared:
    """A note in the plan on what was asked for and does nothing, where there is such."""
    recipe = prepared.config.recipe or "classic"
    idle = idle_fields(prepared.asked, recipe)
    if not idle:
        return prepared
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
    note = f"Without effect {WORDS[recipe]}: {flags}."
    return replace(prepared, plan=replace(prepared.plan, notes=(note, *prepared.plan.notes)))


def idle_fields(asked: TrainConfig, recipe: str) -> list[str]:
    """The fields that differ from their default and do nothing, in their order."""
    usual = TrainConfig()
    return [
        name
        for name in field_names()
        if name in IDLE.get(recipe, ()) and getattr(asked, name) != getattr(usual, name)
    ]
