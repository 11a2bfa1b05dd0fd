"""Flags that do nothing in a recipe are named."""

import pytest

from lacewing.config import TrainConfig, field_names, load_config
from lacewing.training.recipe.idle import IDLE, WORDS, idle_fields


def test_the_table_names_fields_of_the_configuration():
    for recipe, fields in IDLE.items():
        assert fields <= set(field_names())
        assert recipe in WORDS


@pytest.mark.parametrize(
    ("asked", "recipe", "idle"),
    [
        ({"focal": 2, "epochs": 5, "seed": 3}, "features", ["focal", "epochs"]),
        ({"wise_ft": 0.5, "focal": 2}, "classic", ["wise_ft"]),
        ({"wise_ft": 0.5, "focal": 2, "epochs": 5}, "finetune", []),
        ({}, "features", []),
    ],
)
def test_what_differs_from_its_default_and_does_nothing_is_found(asked, recipe, idle):
    assert idle_fields(TrainConfig(**asked), recipe) == idle


def test_a_note_of_the_plan_says_so(recipe_session):
    session = recipe_session(recipe="features", image_size=48, mixup=0.2, optimizer="adamw",
                             wise_ft=0.5)  # fmt: skip
    notes = [note for note in session.plan.notes if note.startswith("Without effect")]
    assert notes == ["Without effect on a head on frozen features: --wise-ft, --mixup."]


@pytest.mark.parametrize("recipe", ["features", "classic"])
def test_a_run_s_own_configuration_is_silent(recipe_session, recipe):
    session = recipe_session(recipe=recipe, image_size=48, optimizer="adamw")
    assert idle_fields(TrainConfig(**load_config(session.run.config)), recipe) == []
