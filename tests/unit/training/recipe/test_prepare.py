"""What a recipe needs, and what it changes before the run."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.errors import ConfigError
from lacewing.models.catalog import find_model
from lacewing.models.weights import read_weights_file
from lacewing.performance_config import EVAL_TO_INPUT
from lacewing.planning.document import save_plan
from lacewing.planning.measured import Measured
from lacewing.planning.rules.loading import varied_bytes
from lacewing.running.decide import prepared_fully
from lacewing.training.recipe import prepare as recipe_prepare
from lacewing.training.recipe.fallback import MOST_EPOCHS
from lacewing.training.recipe.finetune import RATE
from lacewing.training.recipe.prepare import (
    NEW_HEAD_RATE,
    decided,
    gentle_rate,
    head_rate,
    with_norms_decided,
    with_recipe_decided,
)
from lacewing.training.recipe.size import Speed
from lacewing.training.setup import job_of, obeyed
from lacewing.training.setup import prepare as prepare_run
from lacewing.training.trial import is_wanted
from lacewing.values import Choice

RESNET = find_model("test_resnet")
FORECAST = {"first_epoch_seconds": 20.0, "epoch_seconds": 10.0, "judge_seconds": 4.0}


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
    assert head_rate(small(**free), weights, "classic") == NEW_HEAD_RATE
    assert head_rate(small(**free), weights, "finetune") == 1.0, "it is fitted first"
    assert head_rate(small(**free), None, "classic") == 1.0
    assert head_rate(small(learning_rate=0.1), weights, "classic") == 1.0
    assert head_rate(small(**free, weights="w.safetensors"), weights, "classic") == 1.0
    assert decided(small(head_rate=3), RESNET, weights).head_rate == 3.0


def test_the_image_size_is_measured_where_it_is_free(recipe_session):
    size = recipe_session(recipe="features", image_size=None).plan.image_size
    assert size.source == "measured"
    assert size.evidence["forward_images_per_second"] > 0


def test_decoded_images_have_their_place_by_the_size_that_was_chosen(small, weights_file):
    prepared = prepare_run(small(device="cpu", weights=weights_file, recipe="finetune",
                                 image_size=None))  # fmt: skip
    plan = with_recipe_decided(prepared).plan
    assert plan.image_size.value != prepared.plan.image_size.value
    job = job_of(prepared.config, prepared.info, prepared.weights, prepared.index)
    assert plan.pixels.evidence["need_bytes"] == job.cache_bytes(plan.image_size.value)


def test_a_feature_pass_has_fewer_images_where_there_is_little_memory(small, weights_file):
    """No trial follows that would measure it."""
    prepared = prepare_run(small(device="cpu", weights=weights_file, recipe="features",
                                 image_size=None))  # fmt: skip
    allowed = EVAL_TO_INPUT * varied_bytes(4, prepared.plan.image_size.value)
    little = replace(prepared.plan, memory_bytes=Choice(allowed, "", "rule"))
    plan = with_recipe_decided(replace(prepared, plan=little)).plan
    size = plan.image_size.value
    assert size > prepared.plan.image_size.value
    assert plan.eval_batch.value == allowed // (EVAL_TO_INPUT * varied_bytes(1, size)) < 4


def test_an_asked_size_of_judging_is_that_of_the_features(recipe_session):
    session = recipe_session(recipe="features", image_size=None, eval_size=64)
    size = session.plan.image_size
    assert (size.value, size.source) == (64, "user")
    assert session.preprocessing.image_size == 64
    both = recipe_session(recipe="features", image_size=48, eval_size=64)
    assert both.plan.image_size.value == 48


def test_an_asked_image_size_stands(recipe_session):
    size = recipe_session(recipe="features", image_size=48).plan.image_size
    assert (size.value, size.source) == (48, "user")


def test_a_classic_run_keeps_its_plan(recipe_session, small, weights_file):
    session = recipe_session(recipe="classic", image_size=None)
    config = small(device="cpu", weights=weights_file, image_size=None)
    assert session.plan.image_size == prepare_run(config).plan.image_size


@pytest.fixture
def at_speed(monkeypatch, small, weights_file):
    """`at_speed(2.0, ...)`: what is decided where so many images a second go forward."""

    def decide(images_per_second, **fields):
        monkeypatch.setattr(
            recipe_prepare,
            "fastest_forward",
            lambda make_model, prepared, *_: (prepared.plan, Speed(64, images_per_second)),
        )
        usual = {"recipe": "auto", "image_size": 64, "epochs": TrainConfig().epochs, "trial": True}
        config = small(device="cpu", weights=weights_file, **{**usual, **fields})
        return with_recipe_decided(prepare_run(config))

    return decide


def test_where_fine_tuning_is_out_of_reach_no_step_of_it_is_timed(at_speed):
    """35 images are 17.5 s forward; 3 epochs of 28 at 3 forward passes a step and at the smallest
    size, 3/4 of the pixels, are 94.5 s."""
    slow = at_speed(2.0, budget=100.0)
    assert slow.config.recipe == "features"
    assert not is_wanted(slow.config)
    assert slow.plan.notes[-1].startswith(
        "Fine-tuning is out of reach: with the features, 3 epochs would take at least 1 min 52 s "
        "of 1 min 40 s"
    )
    fast = at_speed(4.0, budget=100.0)
    assert fast.config.recipe == "finetune"
    assert is_wanted(fast.config)


def test_what_was_asked_for_is_not_given_up(at_speed):
    assert at_speed(0.1, budget=10.0, recipe="finetune").config.recipe == "finetune"
    assert at_speed(0.1, budget=10.0, epochs=5).config.recipe == "finetune"


def test_without_a_budget_a_long_pass_leaves_time_for_fine_tuning_or_does_not(at_speed):
    assert at_speed(1.5).config.recipe == "finetune"
    assert at_speed(1.0).config.recipe == "features"


def test_the_fastest_precision_of_the_features_is_measured(recipe_session, monkeypatch):
    def seconds_of(bench, way, plan):
        return {"fp32": 0.1, "bf16": 0.4}[way.precision]

    monkeypatch.setattr("lacewing.training.recipe.forward.seconds_of", seconds_of)
    session = recipe_session(recipe="features", image_size=None)
    if session.plan.eval_precision.source == "rule":
        pytest.skip("this processor passes the test in fp32 only: there is nothing to choose")
    assert session.plan.eval_precision.value == "fp32"
    assert session.plan.eval_precision.source == "measured"
    assert session.plan.image_size.evidence["forward_images_per_second"] == pytest.approx(80)


def test_a_pass_that_can_not_be_timed_leaves_the_rules(recipe_session, monkeypatch):
    monkeypatch.setattr(
        "lacewing.training.recipe.forward.seconds_of", lambda *_: "the memory is full"
    )
    plan = recipe_session(recipe="features", image_size=None).plan
    assert plan.image_size.source != "measured"
    assert plan.eval_precision.source == "rule"


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [("AdamW", RATE), ("adam", RATE), ("SGD", 8e-4), ("rmsprop", 3e-6), ("lion", 6e-6)],
)
def test_fine_tuning_is_as_gentle_with_any_optimiser(recipe_session, optimizer, rate):
    assert gentle_rate(optimizer) == pytest.approx(rate)
    session = recipe_session(recipe="finetune", image_size=48, optimizer=optimizer)
    choice = session.plan.learning_rate
    assert choice.value == pytest.approx(rate * 6 / 32)
    assert choice.reason.startswith(f"{optimizer.lower()}'s {rate:.1g} x 6/32: gentle")


@pytest.fixture
def in_passes_of(small, weights_file):
    """`in_passes_of(64)`: a classic plan of such passes, with BatchNorm's mode decided."""

    def decide(images, **words):
        config = small(device="cpu", weights=weights_file, recipe="classic", **words)
        prepared = prepare_run(config)
        micro = replace(prepared.plan.micro_batch, value=images)
        plan = replace(prepared.plan, micro_batch=micro, notes=("Another.",))
        return with_norms_decided(replace(prepared, plan=plan))

    return decide


def test_norms_are_decided_by_the_passes_of_the_finished_plan(in_passes_of):
    few, many = in_passes_of(16), in_passes_of(64)
    assert (few.config.freeze_norms, many.config.freeze_norms) == (True, False)
    assert few.plan.notes[0] == "Another."
    assert few.plan.notes[1].startswith("BatchNorm keeps its pretrained statistics: 16 images")
    assert many.plan.notes == ("Another.",)
    asked = in_passes_of(16, freeze_norms=True)
    assert asked.config.freeze_norms is True
    assert asked.plan.notes == ("Another.",)


@pytest.mark.parametrize(
    ("images", "processes", "model", "words", "is_said"),
    [
        (3, 1, "test_resnet", {}, True),
        (2, 1, "test_resnet", {}, True),
        (4, 1, "test_resnet", {}, False),
        (2, 1, "test_resnet", {"batch_size": 3}, False),
        (2, 1, "test_resnet", {"freeze_norms": True}, False),
        (2, 2, "test_resnet", {}, False),
        (2, 1, "test_vit", {"image_size": 160}, False),
    ],
)
def test_statistics_of_fewer_than_four_images_do_not_come_without_a_word(
    small, images, processes, model, words, is_said
):
    prepared = replace(prepare_run(small(device="cpu", model=model, **words)), processes=processes)
    micro = replace(prepared.plan.micro_batch, value=images)
    plan = replace(prepared.plan, micro_batch=micro)
    added = with_norms_decided(replace(prepared, plan=plan)).plan.notes[len(plan.notes) :]
    start = f"BatchNorm makes its statistics of {images} images at a time"
    assert [note.startswith(start) for note in added] == [True] * is_said
    assert all("a smaller --image-size" in note for note in added)
    assert all("pretrained weights and --freeze-norms True" in note for note in added)


def test_pretrained_statistics_that_were_let_go_may_be_kept_instead(in_passes_of):
    (_, note) = in_passes_of(2, freeze_norms=False).plan.notes
    assert note.startswith("BatchNorm makes its statistics of 2 images")
    assert note.endswith(" or --freeze-norms True.")


@pytest.mark.parametrize("recipe", ["classic", "finetune"])
def test_a_plan_and_a_run_by_it_decide_what_a_run_alone_does(small, weights_file, tmp_path, recipe):
    words = {"device": "cpu", "weights": weights_file, "recipe": recipe, "learning_rate": None}
    alone = prepared_fully(small(**words))
    save_plan(alone.plan, tmp_path / "plan.yaml")
    by_it = prepared_fully(small(**words, plan=tmp_path / "plan.yaml"))
    assert by_it.plan == obeyed(alone.plan)
    assert by_it.config == replace(alone.config, plan=tmp_path / "plan.yaml")


@pytest.mark.parametrize(("forecast", "epochs"), [(FORECAST, 18), ({}, MOST_EPOCHS)])
def test_so_they_do_where_auto_falls_back_on_a_budget_of_epochs(
    small, tmp_path, monkeypatch, forecast, epochs
):
    def tried(prepared):
        """Nothing is tried beside a plan file."""
        measured = None if prepared.config.plan else Measured(forecast=forecast)
        plan = replace(prepared.plan, measured=prepared.plan.measured or measured)
        return replace(prepared, plan=plan)

    monkeypatch.setattr("lacewing.running.decide.with_trial", tried)
    words = {"device": "cpu", "recipe": "auto", "budget": 200.0, "epochs": TrainConfig().epochs}
    alone = prepared_fully(small(**words))
    assert alone.config.epochs == epochs
    save_plan(alone.plan, tmp_path / "plan.yaml")
    by_it = prepared_fully(small(**words, plan=tmp_path / "plan.yaml"))
    assert by_it.plan.choices() == obeyed(alone.plan).choices()
    # until the clock ends them: the file's forecast may be another machine's
    expected = replace(alone.config, plan=tmp_path / "plan.yaml", epochs=MOST_EPOCHS)
    assert by_it.config == expected
