"""Flags that do nothing in a recipe: whoever asks for one is told."""

from dataclasses import replace

from lacewing.config import TrainConfig, field_names
from lacewing.training.setup import Prepared

IDLE = {
    "classic": frozenset(("wise_ft",)),
    "features": frozenset(
        (
            "dropout",
            "wise_ft",
            "optimizer",
            "scheduler",
            "learning_rate",
            "weight_decay",
            "momentum",
            "nesterov",
            "step_epochs",
            "gamma",
            "warmup_epochs",
            "label_smoothing",
            "focal",
            "logit_adjustment",
            "balance",
            "ema",
            "clip_norm",
            "epochs",
            "limit_epochs",
            "patience",
            "progressive_resizing",
            "augment",
            "rotation",
            "flip",
            "color_jitter",
            "min_crop",
            "trivial_augment",
            "erasing",
            "mixup",
            "cutmix",
        )
    ),
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
