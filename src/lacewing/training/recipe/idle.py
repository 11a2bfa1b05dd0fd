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
IDLE = {
    "classic": frozenset(("wise_ft",)),
    "features": CLASSIC - {"freeze_norms", "batch_size", "accumulate"} | OF_IMAGES | {"wise_ft"},
}
"""Fields without effect, by the recipe that was decided. What a recipe sets itself is not among
them, so that a run's own config.yaml is silent."""
BEGINNING = "Without effect"
WORDS = {"classic": "in classic training", "features": "on a head on frozen features"}


def with_idle_said(prepared: Prepared) -> Prepared:
    """A note in the plan on what was asked for and does nothing, where there is such."""
    recipe = prepared.config.recipe or "classic"
    # a plan's file may have that of another run
    notes = [note for note in prepared.plan.notes if not note.startswith(BEGINNING)]
    idle = idle_fields(prepared.asked, recipe)
    if idle:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
        notes.insert(0, f"{BEGINNING} {WORDS[recipe]}: {flags}.")
    return replace(prepared, plan=replace(prepared.plan, notes=tuple(notes)))


def idle_fields(asked: TrainConfig, recipe: str) -> list[str]:
    """The fields that differ from their default and do nothing, in their order."""
    usual = TrainConfig()
    return [
        name
        for name in field_names()
        if name in IDLE.get(recipe, ()) and getattr(asked, name) != getattr(usual, name)
    ]
