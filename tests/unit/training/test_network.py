"""`--model auto`: by speed and known quality, among what can be had."""

import pytest

from lacewing.config import TrainConfig
from lacewing.errors import WeightsError
from lacewing.models.candidates import CANDIDATES, Candidate
from lacewing.models.catalog import find_model
from lacewing.training import network
from lacewing.training.network import (
    Rated,
    allowed_seconds,
    choose_network,
    network_rows,
    prepare_with_network,
    work_seconds,
)
from lacewing.training.recipe.size import Speed

TINY = (Candidate("test_resnet", 50.0), Candidate("test_convnext", 60.0))


def rated(*seconds):
    names = zip(CANDIDATES, seconds, strict=False)
    return [
        Rated(one, one_second and Speed(224, 100.0), one_second, "") for one, one_second in names
    ]


def test_the_best_that_fits_is_chosen_and_the_fastest_if_none_does():
    best = choose_network(rated(10.0, 20.0, 30.0), 25.0)
    assert best.value.candidate.name == "tf_efficientnet_lite1"
    assert best.source == "measured"
    assert "76.6 % there, 100 images/s forward here, about 20 s of the 25 s" in best.reason
    none = choose_network(rated(10.0, 20.0), 5.0)
    assert none.value.candidate.name == "efficientnet_lite0"
    assert "none fits" in none.reason


def test_of_equals_the_one_that_costs_more_is_chosen():
    names = [one.name for one in CANDIDATES]
    assert CANDIDATES[2].imagenet == CANDIDATES[3].imagenet
    assert choose_network(rated(1.0, 2.0, 3.0, 4.0), 9.0).value.candidate.name == names[3]
    assert choose_network(rated(1.0, 2.0, 3.0, 40.0), 9.0).value.candidate.name == names[2]


def test_what_could_not_be_timed_is_not_chosen():
    assert choose_network(rated(None, 20.0, None), 25.0).value.seconds == 20.0


def test_every_candidate_is_a_network_with_weights_and_better_than_the_one_before():
    qualities = [one.imagenet for one in CANDIDATES]
    assert qualities == sorted(qualities)
    for one in CANDIDATES:
        assert find_model(one.name).name == one.name


def test_the_allowed_time_is_that_of_the_feature_pass_or_of_all_epochs():
    assert allowed_seconds(TrainConfig(recipe="auto", budget=100.0)) == pytest.approx(40.0)
    assert allowed_seconds(TrainConfig(recipe="classic", budget=100.0)) == 100.0
    assert allowed_seconds(TrainConfig(recipe="classic")) == 3600.0


@pytest.fixture
def tiny(monkeypatch):
    """Two tiny networks to choose from, as if their weights were here."""
    monkeypatch.setattr(network, "CANDIDATES", TINY)
    monkeypatch.setattr(network, "weights_state", lambda *_: "offline")
    monkeypatch.setattr("lacewing.training.setup.starting_weights", lambda *_: None)


@pytest.fixture
def auto(small):
    return lambda **more: small(
        model="auto", pretrained=True, device="cpu", recipe="classic", **more
    )


def test_the_network_is_named_and_its_rivals_are_shown(tiny, auto):
    config = auto()
    prepared = prepare_with_network(config)
    assert prepared.asked.model == "auto"
    assert (prepared.config.model, prepared.info.name) == ("test_convnext", "test_convnext")
    assert [row[0] for row in prepared.networks] == ["test_resnet", "test_convnext"]
    assert [row[-1] for row in prepared.networks] == ["", "chosen"]
    assert prepared.plan.notes[-1].startswith("--model auto took test_convnext, the best on")


def test_timing_ends_where_a_network_is_too_slow(tiny, auto):
    prepared = prepare_with_network(auto(budget=0.001))
    assert prepared.config.model == "test_resnet"
    assert [row[2:] for row in prepared.networks][1] == ("-", "-", "slower still: not timed")


def test_without_any_weights_the_remedy_is_named(tiny, auto, monkeypatch):
    monkeypatch.setattr(network, "weights_state", lambda *_: "download")
    monkeypatch.setattr(network, "is_reachable", lambda: False)
    with pytest.raises(WeightsError, match="connect once, or name a network"):
        prepare_with_network(auto())


def test_the_work_is_two_views_forward_or_all_epochs(tiny, auto):
    seen = network.look(auto(), {}, network.BACKENDS)
    counts = [len(seen.index.split(name)) for name in ("train", "val")]
    info, speed = find_model("test_resnet"), Speed(32, 1.0)
    config = auto(epochs=4)
    assert work_seconds(config, seen, info, speed) == 4 * (3 * counts[0] + counts[1])
    config = TrainConfig(**{**vars(config), "recipe": "auto"})
    assert work_seconds(config, seen, info, speed) == 2 * counts[0] + counts[1]


def test_rows_have_a_dash_for_what_is_not_known():
    one = Rated(CANDIDATES[4], None, None, "its weights are not here")
    (row,) = network_rows([one], rated(1.0)[0])
    assert row == (CANDIDATES[4].name, "84.5 %", "-", "-", "its weights are not here")
