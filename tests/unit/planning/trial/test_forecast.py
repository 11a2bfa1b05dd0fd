"""The forecast's arithmetic."""

from dataclasses import replace

import pytest

from lacewing.planning.rules.compile import COST_SECONDS
from lacewing.planning.trial.findings import CompileTime, Timed
from lacewing.planning.trial.forecast import (
    Amounts,
    expected_seconds,
    forecast,
    larger_in_evaluation,
)
from lacewing.values import Choice


def planned(plan, **values):
    return replace(plan, **{name: Choice(value, "", "rule") for name, value in values.items()})


AMOUNTS = Amounts(training=1000, validation=100, test=200, epochs=3)


def test_on_the_cpu_loading_shares_the_cores(plan_on, found):
    plan = planned(plan_on("cpu_2core_24gb"), batch=16, pixels="ram", workers=1)
    figures = forecast(plan, found(decode_seconds=0.01, prepare_seconds=0.002), AMOUNTS, cores=2)
    # 62 whole batches of 16; 0.05 s an image, augmented beside; 40 images/s forward
    computing = 992 * (0.05 + 0.002 / 2) + 100 / 40
    decoding = (992 + 100) * 0.01 / 2
    assert figures["epoch_seconds"] == pytest.approx(computing)
    assert figures["first_epoch_seconds"] == pytest.approx(computing + decoding)
    judging = 300 * 0.1 + 300 * 0.01 / 2
    assert figures["judge_seconds"] == pytest.approx(judging)
    assert figures["run_seconds"] == pytest.approx(3 * computing + decoding + judging)


def test_pixels_that_are_not_kept_are_decoded_in_each_epoch(plan_on, found):
    plan = planned(plan_on("cpu_2core_24gb"), pixels="none")
    figures = forecast(plan, found(decode_seconds=0.01), AMOUNTS, cores=2)
    assert figures["epoch_seconds"] == figures["first_epoch_seconds"]


def test_what_the_disk_has_of_earlier_runs_is_not_decoded_again(plan_on, found):
    plan = planned(plan_on("cpu_2core_24gb"), batch=10, pixels="disk", workers=1)
    findings = found(decode_seconds=0.01)
    a_part = forecast(plan, findings, replace(AMOUNTS, undecoded=(0.3, 0.5)), cores=2)
    decoding = (0.3 * 1000 + 0.5 * 100) * 0.01 / 2
    assert a_part["first_epoch_seconds"] - a_part["epoch_seconds"] == pytest.approx(decoding)
    nothing = forecast(plan, findings, replace(AMOUNTS, undecoded=(0.0, 0.0)), cores=2)
    assert nothing["first_epoch_seconds"] == pytest.approx(nothing["epoch_seconds"])
    assert nothing["judge_seconds"] == a_part["judge_seconds"], "which decodes all"


@pytest.mark.parametrize("seen", ["ram", "none"])
def test_validation_may_be_decoded_in_each_epoch_beside_pixels_on_the_device(plan_on, found, seen):
    plan = planned(plan_on("h100_80gb"), batch=10, workers=4)
    plan = replace(plan, pixels=Choice("device", "", "measured", {"evaluation": seen}))
    unseen = replace(AMOUNTS, undecoded=(0.0, 0.0))  # which is of the disk
    figures = forecast(plan, found(decode_seconds=0.4), unseen, cores=8)
    training, validation = 1000 * 0.4 / 4 - 1000 * 0.05, 100 * 0.4 / 7 - 100 / 40
    first = training + (validation if seen == "ram" else 0.0)
    assert figures["first_epoch_seconds"] - figures["epoch_seconds"] == pytest.approx(first)


def test_on_a_gpu_decoding_costs_only_where_it_is_slower(plan_on, found):
    plan = planned(plan_on("h100_80gb"), batch=10, pixels="ram", workers=4)
    fast = forecast(plan, found(decode_seconds=0.1), AMOUNTS, cores=8)
    assert fast["first_epoch_seconds"] == pytest.approx(fast["epoch_seconds"])
    slow = forecast(plan, found(decode_seconds=0.4), AMOUNTS, cores=8)
    # validation decodes by all cores but one
    waiting = (1000 * 0.4 / 4 - 1000 * 0.05) + (100 * 0.4 / 7 - 100 / 40)
    assert slow["first_epoch_seconds"] == pytest.approx(slow["epoch_seconds"] + waiting)


def test_a_gpu_augments_between_the_steps_what_threads_prepare_beside_them(plan_on, found):
    plan = planned(plan_on("h100_80gb"), batch=10, pixels="ram", workers=4)
    findings = found(augment_seconds=0.002, prepare_seconds=0.2)
    figures = forecast(plan, findings, AMOUNTS, cores=8)
    assert figures["epoch_seconds"] == pytest.approx(1000 * 0.052 + 100 / 40)
    alone = forecast(planned(plan, workers=0), findings, AMOUNTS, cores=8)
    assert alone["epoch_seconds"] == pytest.approx(1000 * 0.252 + 100 / 40)


@pytest.mark.parametrize(("seconds", "waits"), [(0.08, 0), (0.18, 1000 * (0.18 / 2 - 0.05))])
def test_what_the_cpu_augments_for_a_device_is_hidden_while_it_computes(
    plan_on, found, seconds, waits
):
    plan = planned(plan_on("directml_laptop"), batch=10, pixels="ram", workers=2)
    figures = forecast(plan, found(prepare_seconds=seconds), AMOUNTS, cores=8)
    assert figures["epoch_seconds"] == pytest.approx(1000 * 0.05 + waits + 100 / 40)


@pytest.mark.parametrize("pixels", ["ram", "none"])
def test_growing_images_take_what_their_epochs_take_in_sum(plan_on, found, pixels):
    plan = planned(plan_on("cpu_2core_24gb"), batch=10, pixels=pixels, workers=1)
    shares = (0.25, 0.5, 1.0)
    growing = replace(AMOUNTS, work_shares=shares)
    findings = found(decode_seconds=0.01, prepare_seconds=0.002)
    figures = forecast(plan, findings, growing, cores=2)
    full = forecast(plan, findings, AMOUNTS, cores=2)
    saved = 1000 * 0.05 * (3 - sum(shares))
    assert figures["run_seconds"] == pytest.approx(full["run_seconds"] - saved)
    assert expected_seconds(figures, 3) + figures["judge_seconds"] == pytest.approx(
        figures["run_seconds"]
    )
    assert figures["first_epoch_seconds"] == pytest.approx(
        full["first_epoch_seconds"] - 1000 * 0.05 * 0.75
    )


def test_one_epoch_of_growing_images_is_whole(plan_on, found):
    plan = planned(plan_on("cpu_2core_24gb"))
    one = replace(AMOUNTS, epochs=1)
    assert forecast(plan, found(), replace(one, work_shares=(1.0,)), 2) == forecast(
        plan, found(), one, 2
    )


def test_judging_and_validation_are_at_the_size_of_evaluation(plan_on, found):
    plan = planned(plan_on("cpu_2core_24gb"), batch=10, pixels="ram", workers=0)
    figures, double = (
        forecast(plan, found(), replace(AMOUNTS, eval_share=share), cores=2)
        for share in (larger_in_evaluation(None, 128), larger_in_evaluation(256, 128))
    )
    assert double["judge_seconds"] == pytest.approx(4 * figures["judge_seconds"])
    assert double["epoch_seconds"] - figures["epoch_seconds"] == pytest.approx(3 * 100 / 40)


def test_a_run_that_is_not_judged_is_its_epochs(plan_on, found):
    plan = planned(plan_on("cpu_2core_24gb"))
    judged, alone = (
        forecast(plan, found(decode_seconds=0.01), replace(AMOUNTS, judges=judges), cores=2)
        for judges in (True, False)
    )
    assert alone["judge_seconds"] == 0
    assert alone["run_seconds"] == pytest.approx(expected_seconds(judged, AMOUNTS.epochs))


def test_without_threads_decoding_adds_up(plan_on, found):
    plan = planned(plan_on("cpu_2core_24gb"), batch=10, workers=0, pixels="ram")
    figures = forecast(plan, found(decode_seconds=0.01), AMOUNTS, cores=2)
    # validation has a thread even so
    added = 1000 * 0.01 + 100 * 0.01 / 2
    assert figures["first_epoch_seconds"] - figures["epoch_seconds"] == pytest.approx(added)


def test_some_epochs_of_it():
    figures = {"first_epoch_seconds": 5.0, "epoch_seconds": 3.0}
    assert [expected_seconds(figures, n) for n in (0, 1, 3)] == [0.0, 5.0, 11.0]
    assert [expected_seconds(figures, n) for n in (0.5, 1.5)] == [2.5, 6.5]


def test_processes_share_whole_batches_and_the_validation(plan_on, found):
    plan = planned(plan_on("h100_80gb"), batch=64, pixels="ram", workers=0)
    shared = Amounts(training=200, validation=100, test=200, epochs=3, processes=4)
    figures = forecast(plan, found(), shared, cores=8)
    assert figures["epoch_seconds"] == pytest.approx(192 / 4 * 0.05 + 100 / 4 / 40)
    assert figures["judge_seconds"] == pytest.approx(300 * 0.1), "one process judges"


def test_an_average_of_the_weights_is_moved_at_each_step_of_every_process(plan_on, found):
    plan = planned(plan_on("h100_80gb"), batch=100, pixels="ram", workers=0)
    for processes in (1, 4):
        amounts = replace(AMOUNTS, processes=processes)
        plain, kept = (
            forecast(plan, found(average_seconds=seconds), amounts, cores=8)["epoch_seconds"]
            for seconds in (0.0, 0.2)
        )
        assert kept - plain == pytest.approx(10 * 0.2)


def test_a_compiled_pass_has_the_images_with_which_it_was_timed(plan_on, found, way):
    """Ten in 0.2 s; the plan's pass of 20 was timed too, but not compiled."""
    plan = planned(plan_on("h100_80gb"), batch=20, micro_batch=20, workers=0, compile="default")
    findings = found(
        sizes=(Timed(way=way(images=20), seconds=0.8),),
        compile_tried=(CompileTime(cost_seconds=30.0, pass_seconds=0.2),),
    )
    figures = forecast(plan, findings, AMOUNTS, cores=8)
    assert figures["epoch_seconds"] == pytest.approx(1000 * 0.02 + 100 / 40)
    assert figures["first_epoch_seconds"] == pytest.approx(figures["epoch_seconds"] + 30)
    rest = 2 * figures["epoch_seconds"] + figures["judge_seconds"]
    assert figures["run_seconds"] == pytest.approx(figures["first_epoch_seconds"] + rest)
    off = forecast(planned(plan, compile="off"), findings, AMOUNTS, cores=8)
    assert off["epoch_seconds"] == off["first_epoch_seconds"]
    assert off["epoch_seconds"] == pytest.approx(1000 * 0.04 + 100 / 40)


@pytest.mark.parametrize(
    ("known", "cost"), [({"default": 41.5}, 41.5), ({"cudagraphs": 9.0}, COST_SECONDS)]
)
def test_compiling_that_was_asked_for_costs_what_it_once_took_or_usually_does(
    plan_on, found, known, cost
):
    plan = planned(plan_on("h100_80gb"), pixels="ram", workers=0, compile="default")
    figures = forecast(plan, found(compile_cost_seconds=known), AMOUNTS, cores=8)
    assert figures["first_epoch_seconds"] == pytest.approx(figures["epoch_seconds"] + cost)
