"""What a recipe needs, and what it changes before the run."""

import pytest

from lacewing.errors import ConfigError
from lacewing.models.catalog import find_model
from lacewing.models.weights import read_weights_file
from lacewing.training.recipe.prepare import NEW_HEAD_RATE, decided, head_rate
from lacewing.training.setup import prepare as prepare_run

RESNET = find_model("test_resnet")


@pytest.fixture
def weights(weights_file):
    return read_weights_file(weights_file, RESNET)


def test_auto_fine_tunes_what_is_pretrained_and_trains_the_rest_classically(small, weights):
    config = small(recipe="auto")
    assert decided(config, RESNET, weights).recipe == "finetune"
    assert decided(config, RESNET, None).recipe == "classic"


def test_a_configuration_that_names_no_recipe_is_classic(small, weights):
    assert decided(small(), RESNET, weights).recipe == "classic"


def test_features_of_random_weights_are_refused(small):
    with pytest.raises(ConfigError, match="--recipe features builds on pretrained weights"):
        decided(small(recipe="features"), RESNET, None)


def test_a_network_without_one_linear_head_is_refused_or_trained_classically(small, weights):
    two_heads = find_model("deit_tiny_distilled_patch16_224")
    with pytest.raises(ConfigError, match="needs a network that ends in one linear layer"):
        decided(small(recipe="finetune"), two_heads, weights)
    assert decided(small(recipe="auto"), two_heads, weights).recipe == "classic"


def test_only_a_new_head_whose_rate_was_not_asked_for_learns_faster(small, weights):
    free = {"learning_rate": None}
    assert head_rate(small(**free), weights) == NEW_HEAD_RATE
    assert head_rate(small(**free), None) == 1.0
    assert head_rate(small(learning_rate=0.1), weights) == 1.0
    assert head_rate(small(**free, weights="w.safetensors"), weights) == 1.0
    assert decided(small(head_rate=3), RESNET, weights).head_rate == 3.0


def test_the_image_size_is_measured_where_it_is_free(recipe_session):
    size = recipe_session(recipe="features", image_size=None).plan.image_size
    assert size.source == "measured"
    assert size.evidence["forward_images_per_second"] > 0


def test_an_asked_image_size_stands(recipe_session):
    size = recipe_session(recipe="features", image_size=48).plan.image_size
    assert (size.value, size.source) == (48, "user")


def test_a_classic_run_keeps_its_plan(recipe_session, small, weights_file):
    session = recipe_session(recipe="classic", image_size=None)
    config = small(device="cpu", weights=weights_file, image_size=None)
    assert session.plan.image_size == prepare_run(config).plan.image_size
