"""What is said of a network that does not fit."""

from dataclasses import replace

import pytest

from lacewing.errors import PlanError
from lacewing.hardware.fake import FakeBackend, FakeOutOfMemoryError, fake_backends
from lacewing.planning.trial.fitting import fitting_size, no_room, within_memory
from lacewing.planning.trial.memory import MemoryModel
from lacewing.values import MIB, Choice


@pytest.fixture
def made(scene):
    """A plan that may take 10 MiB, for a network of a million weights."""
    scene = scene(FakeBackend(free_bytes=7 * MIB))
    plan = replace(scene.plan, memory_bytes=Choice(10 * MIB, "", "rule"))
    return scene, plan, replace(scene.work.info, parameters=2**20)


def test_need_room_and_what_helps_are_said(made):
    _, plan, info = made
    assert no_room(info, plan, "adamw", 7 * MIB) == (
        "test_resnet does not fit into the memory of cuda:0, even without images: weights, "
        "gradients and the optimiser's state take up to 16.0 MiB of the 10.0 MiB that this run may "
        "take (7.0 MiB are free now): use --optimizer sgd, a smaller --model such as mobilenet "
        "or a larger --memory-share."
    )


def test_what_is_not_known_or_done_already_is_left_out(made):
    _, plan, info = made
    whole = Choice(1.0, "", "user")
    plan = replace(plan, memory_bytes=Choice(None, "", "rule"), memory_share=whole)
    assert no_room(info, plan, "SGD", None).endswith(
        "take up to 16.0 MiB: use a smaller --model such as mobilenet or more memory."
    )


def test_only_an_exhausted_memory_is_told_so(made):
    scene, plan, info = made

    def opened(error):
        def fail():
            raise error

        return within_memory(fail, info, plan, "sgd", fake_backends(scene.fake))

    with pytest.raises(PlanError, match=r"7\.0 MiB are free now"):
        opened(FakeOutOfMemoryError("full"))
    with pytest.raises(ZeroDivisionError):
        opened(ZeroDivisionError())


def test_where_flags_can_not_be_given_another_remedy_is_said(made):
    scene, plan, info = made

    def fail():
        raise FakeOutOfMemoryError("full")

    with pytest.raises(PlanError, match=r"are free now\): close other programs\.$"):
        within_memory(fail, info, plan, "adamw", fake_backends(scene.fake), "close other programs")


@pytest.mark.parametrize(
    ("room", "changes", "size"),
    [
        (300, {}, 288),
        (300, {"size_multiple": 14}, 224),
        (200, {"size_multiple": 14}, 196),
        (60, {"size_multiple": 14, "min_size": 60}, None),
        (60, {"min_size": 50}, 60),
        (300, {"fixed_size": True}, None),
        (20, {}, None),
    ],
)
def test_the_size_that_is_proposed_is_one_that_the_network_takes(make_job, room, changes, size):
    """An image of 518 pixels takes 518 squared bytes."""
    model = MemoryModel(fixed_bytes=1000, image_bytes=518**2)
    allowed = 1000 + room * (room + 1)  # not to be rounded below
    assert fitting_size(model, allowed, 518, make_job(**changes)) == size
