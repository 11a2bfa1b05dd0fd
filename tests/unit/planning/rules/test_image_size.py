"""Image sizes that network and tier agree on."""

import pytest

from lacewing.errors import ModelError
from lacewing.planning.rules.image_size import nearest_size


@pytest.mark.parametrize(
    ("machine", "changes", "expected"),
    [
        ("h100_80gb", {}, 224),
        ("cpu_2core_24gb", {}, 128),
        ("directml_laptop", {"size_multiple": 32}, 192),
        ("cpu_2core_24gb", {"size_multiple": 14}, 126),
        ("cpu_2core_24gb", {"min_size": 160}, 160),
        ("cpu_2core_24gb", {"min_size": 150, "size_multiple": 14}, 154),
        ("cpu_2core_24gb", {"fixed_size": True}, 224),
    ],
)
def test_the_tiers_size_as_the_network_takes_it(plan_on, make_job, machine, changes, expected):
    plan = plan_on(machine, make_job(**changes))
    assert (plan.image_size.value, plan.image_size.source) == (expected, "rule")


def test_of_two_equally_near_the_smaller(make_job):
    assert nearest_size(224, make_job(size_multiple=64)) == 192


def test_an_asked_size_wins(plan_on, make_job):
    plan = plan_on("cpu_2core_24gb", make_job(size_multiple=14), image_size=140)
    assert (plan.image_size.value, plan.image_size.source) == (140, "user")
    fixed = plan_on("cpu_2core_24gb", make_job(fixed_size=True), image_size=224)
    assert fixed.image_size.source == "user"


@pytest.mark.parametrize(
    ("changes", "asked", "words"),
    [
        ({"size_multiple": 14}, 128, "needs a multiple of 14 pixels.*is 128: use 126"),
        ({"min_size": 75}, 64, "at least 75 pixels"),
        ({"min_size": 75, "size_multiple": 16}, 64, "at least 80 pixels"),
        ({"fixed_size": True}, 128, "224-pixel images only.*leave it out"),
    ],
)
def test_a_size_that_the_network_refuses(plan_on, make_job, changes, asked, words):
    for flag in ("image_size", "eval_size"):
        with pytest.raises(ModelError, match=words) as refused:
            plan_on("cpu_2core_24gb", make_job(**changes), **{flag: asked})
        assert f"--{flag.replace('_', '-')} is {asked}" in str(refused.value)


def test_a_network_built_for_one_size_is_trained_and_judged_at_it(plan_on, make_job):
    plan = plan_on("cpu_2core_24gb", make_job(built_for_size=True), eval_size=256)
    assert (plan.image_size.value, plan.image_size.source) == (256, "user")
    with pytest.raises(ModelError, match="trained at 224 pixels and --eval-size is 256"):
        plan_on("cpu_2core_24gb", make_job(built_for_size=True), image_size=224, eval_size=256)
    other = plan_on("cpu_2core_24gb", make_job(), image_size=224, eval_size=256)
    assert other.image_size.value == 224
