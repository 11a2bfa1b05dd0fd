"""How many threads decode, by what a pass does."""

from dataclasses import replace

import torch

from lacewing.hardware.machine import Limit
from lacewing.planning import loaders
from lacewing.planning.loaders import decoding_of, keep_for_evaluation, loading_of
from lacewing.values import Choice


def test_passes_that_decode_everything_have_more_threads_than_kept_pixels_need(
    plan_on, monkeypatch
):
    monkeypatch.setattr(loaders, "usable_cores", lambda: Limit(value=8, source="host"))
    plan, cpu = plan_on("cpu_2core_24gb"), torch.device("cpu")
    none = Choice(0, "", "measured")
    plan = replace(plan, workers=none, prefetch=none)
    assert (loading_of(plan, cpu).workers, loading_of(plan, cpu).prefetch) == (0, 0)
    assert (decoding_of(plan, cpu).workers, decoding_of(plan, cpu).prefetch) == (7, 7)
    assert decoding_of(plan, cpu, 2).workers == 3, "two processes share the cores"
    asked = replace(plan, workers=Choice(0, "asked for", "user"))
    assert decoding_of(asked, cpu) == loading_of(asked, cpu)


def test_images_that_are_only_looked_at_stay_where_the_plan_says(plan_on):
    plan = plan_on("h100_80gb")
    for place in ("ram", "disk", "none"):
        assert keep_for_evaluation(replace(plan, pixels=Choice(place, "", "rule"))) == place
        there = Choice("device", "", "measured", {"evaluation": place})
        assert keep_for_evaluation(replace(plan, pixels=there)) == place
    by_hand = Choice("device", "", "user")
    assert keep_for_evaluation(replace(plan, pixels=by_hand)) == "ram"
