"""The race of forward-only passes, and what is remembered of it."""

import pytest

from lacewing.hardware.backends import BACKENDS
from lacewing.planning.trial.race import Lane
from lacewing.planning.trial.ways import Way
from lacewing.training.recipe import forward
from lacewing.training.recipe.forward_history import recall, remember
from lacewing.training.recipe.prepare import with_forward_timed, with_recipe_decided
from lacewing.training.setup import Prepared, prepare

WAY = Way(precision="fp32", memory_format="contiguous", kernel="plain", threads=1, images=8)


@pytest.fixture
def ready(small, weights_file):
    """`ready(seed=1)`: what is decided before the race."""

    def make(**words) -> Prepared:
        return prepare(small(recipe="features", device="cpu", weights=weights_file, **words))

    return make


def test_what_was_raced_is_remembered_and_no_network_is_made_again(ready, monkeypatch):
    first, speed = with_forward_timed(ready(), BACKENDS)
    monkeypatch.setattr(forward, "raced", None)  # must not be called
    second, again = with_forward_timed(ready(seed=1), BACKENDS)
    assert (speed.remembered, again.remembered) == (False, True)
    assert again.images_per_second == speed.images_per_second
    assert second.plan.eval_precision == first.plan.eval_precision


def test_other_work_is_raced_anew(ready):
    with_forward_timed(ready(), BACKENDS)
    for words in ({"image_size": 48}, {"deterministic": True}, {"threads": 2}):
        _, speed = with_forward_timed(ready(**words), BACKENDS)
        assert not speed.remembered, words


def test_passes_that_all_failed_are_not_remembered(ready, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(forward, "seconds_of", lambda *_: "broken")
        assert with_forward_timed(ready(), BACKENDS)[1] is None
    assert not with_forward_timed(ready(), BACKENDS)[1].remembered


def test_a_file_that_cannot_be_read_is_no_hindrance(tmp_path, monkeypatch):
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path))
    remember("key", [Lane(WAY, 0.2, [0.1])])
    assert recall("key") == [Lane(WAY, 0.2, [0.1])]
    for text in ("{", "3", "[{}]", '{"key": 1}'):
        (tmp_path / "forward" / "key.json").write_text(text)
        assert recall("key") == []
    assert recall("another") == []


def test_the_image_size_says_that_its_speed_was_remembered(ready):
    reasons = [
        with_recipe_decided(ready(image_size=None), BACKENDS).plan.image_size.reason
        for _ in range(2)
    ]
    assert [reason.endswith(", as remembered") for reason in reasons] == [False, True]
