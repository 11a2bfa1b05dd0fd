"""The trial on faulty and slow devices: what it chooses, what it puts out, what it leaves alone."""

import math
from dataclasses import replace

import pytest
import torch

from lacewing.config import TrainConfig
from lacewing.engine.average import Average
from lacewing.errors import PlanError
from lacewing.hardware.fake import FakeBackend, FakeOutOfMemoryError, Faults
from lacewing.planning.trial.budget import allowance
from lacewing.planning.trial.context import TrialError
from lacewing.planning.trial.fitting import fit_to_memory
from lacewing.planning.trial.measure import budget_of, is_enough, plain_seconds
from lacewing.planning.trial.race import NO_TIME, Lane
from lacewing.planning.trial.stage import set_up
from lacewing.training.setup import job_of
from lacewing.values import MIB, Choice


def rates(timed):
    return {one.way.describe(): one.rate for one in timed}


def test_the_fastest_pair_is_chosen_by_its_exact_figures(scene):
    seconds = {"fp32": 0.4, "bf16": 0.3, "bf16 channels_last": 0.2}
    found = scene(FakeBackend(faults=Faults(seconds=seconds)), epochs=100).measure()
    assert found.best.way.describe() == "bf16 channels_last"
    assert found.best.seconds == pytest.approx(0.2)
    assert found.fastest_seconds == pytest.approx(0.2 / 8)
    assert rates(found.training)["fp32 contiguous"] == pytest.approx(20)
    assert found.best_forward.way.images == 16


def test_slow_bf16_is_not_chosen(scene):
    """As on processors without instructions for it, where it is emulated."""
    found = scene(FakeBackend(faults=Faults(seconds={"fp32": 0.1, "bf16": 8.0}))).measure()
    assert found.best.way.precision == "fp32"
    assert found.best_forward.way.precision == "fp32"


def test_training_and_forward_only_passes_choose_apart(scene):
    """Forward-only passes know no gradient; here the fake tells them apart by their images."""
    fake = FakeBackend(faults=Faults(seconds={"fp32": 0.1, "bf16": 0.2}))
    found = scene(fake, epochs=100).measure(eval_batch=Choice(5, "", "rule"))
    assert found.best_forward.way.images == 5
    assert {one.way.images for one in found.training} == {8}


def test_an_earlier_runs_cap_on_the_memory_does_not_bound_what_is_measured(scene):
    made = scene(FakeBackend())
    made.fake.limit_memory(0, 0.1)
    made.measure()
    assert made.fake.memory_fraction == 1.0


def test_equal_speed_leaves_full_precision(scene):
    assert scene(FakeBackend()).measure().best.way.describe() == "fp32 contiguous"


@pytest.mark.parametrize(("ema", "seconds"), [(0.99, 0.25), (0.0, 0.0)])
def test_the_average_of_the_weights_is_timed_where_one_is_kept(scene, monkeypatch, ema, seconds):
    """Its first update takes ten seconds more, which come once."""
    made = scene(FakeBackend(), ema=ema)

    def update(average, step):
        made.fake.now += 0.25 + 10 * (step == 1)

    monkeypatch.setattr(Average, "update", update)
    assert made.measure().average_seconds == pytest.approx(seconds)


def test_what_the_user_asked_for_is_not_raced(scene):
    fake = FakeBackend(faults=Faults(seconds={"fp32": 0.1, "bf16": 0.9}))
    found = scene(fake, precision="bf16", memory_format="channels_last").measure()
    assert rates(found.training).keys() == {"bf16 channels_last"}


def test_a_pair_that_failed_its_test_is_no_candidate(scene):
    found = scene(FakeBackend(faults=Faults(channels_last=True))).measure()
    assert rates(found.training).keys() == {"fp32 contiguous", "bf16 contiguous"}


def test_a_wrong_loss_puts_a_way_out_though_it_is_fast(scene):
    """A fault that the small network of the device's test did not show."""
    made = scene(FakeBackend())
    made.fake.faults = Faults(seconds={"fp32": 0.5, "bf16": 0.1}, precisions={"bf16": "nan"})
    found = made.measure()
    assert found.best.way.precision == "fp32"
    outs = [one.out for one in found.training if one.way.precision == "bf16"]
    assert len(outs) == 2
    assert all(out.startswith("its loss is nan, and ") for out in outs)
    # what it did to weights and statistics is gone: full precision still works
    assert found.best_forward.way.precision == "fp32"


def test_a_full_memory_puts_a_way_out_and_is_given_back(scene):
    calm = scene(FakeBackend())
    calm.measure()
    made = scene(FakeBackend())
    made.fake.configure("fp32", torch.get_num_threads(), deterministic=False)
    # one pass to count the memory and two that tell the run's length; the likely way's, full
    # precision's for the loss and for the race, the likely way's in the other format, and the next
    # is the first of fp32 channels_last
    made.fake.out_of_memory_at = frozenset({made.fake.forward_calls + 8})
    found = made.measure()
    outs = {one.way.describe(): one.out for one in found.training}
    assert outs["fp32 channels_last"] == "the memory is full"
    assert outs["fp32 contiguous"] == ""
    assert found.cut_at_bytes == made.plan.memory_bytes.value
    # one way less is raced, and all others run as often
    assert made.fake.calls.count("empty_cache") == calm.fake.calls.count("empty_cache") + 1


def test_a_memory_that_cuts_passes_short_is_told(scene):
    assert scene(FakeBackend()).measure().cut_at_bytes is None
    found = scene(FakeBackend(), image_size=64).measure(memory_bytes=Choice(100, "", "rule"))
    assert {one.way.images for one in found.training} == {1}
    assert found.cut_at_bytes == 100


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_forward_only_passes_keep_to_the_memory_too(scene, monkeypatch, kind):
    monkeypatch.setattr("lacewing.planning.trial.measure.images_that_fit", lambda trial: 1)
    found = scene(FakeBackend(kind), image_size=64).measure()
    assert {one.way.images for one in found.forward} == {2}


def test_no_memory_at_all_is_not_endless(scene):
    found = scene(FakeBackend(), batch_size="auto", image_size=64).measure(
        memory_bytes=Choice(0, "", "rule")
    )
    assert found.sizes == ()
    assert found.cut_at_bytes == 0


@pytest.mark.parametrize(("share", "stands"), [(None, True), (0.9, True), (0.7, False)])
def test_what_was_cut_short_does_not_stand_where_there_is_more_memory(
    plan_on, recorded, make_job, found, share, stands
):
    plan, machine = plan_on("cpu_2core_24gb"), recorded("cpu_2core_24gb")
    then = share and int(share * plan.memory_bytes.value)
    looked = found(allowed_seconds=1000.0, cut_at_bytes=then)
    assert is_enough(looked, plan, TrainConfig(), machine, make_job(), ()) is stands


def test_a_device_that_vanishes_ends_the_trial_with_the_reason(scene):
    made = scene(FakeBackend())
    made.fake.faults = Faults(lost_at=4)
    with pytest.raises(TrialError, match="the fake device is gone"):
        made.measure()


def test_generators_threads_and_the_cache_of_weights_are_left_alone(scene):
    made = scene(FakeBackend(), dropout=0.3)
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    made.measure()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_the_loss_is_compared_without_dropout(scene):
    found = scene(FakeBackend(), dropout=0.9).measure()
    assert all(one.out == "" for one in found.training)


def test_time_for_a_fast_kernel_is_taken(scene):
    found = scene(FakeBackend(), optimizer="adamw").measure()
    assert {one.way.kernel for one in found.training} == {"fused", "foreach"}


@pytest.mark.parametrize(("share", "kernels"), [(0.03, {"fused"}), (0.05, {"fused", "foreach"})])
def test_details_are_timed_where_that_takes_no_more_than_their_share(
    scene, monkeypatch, share, kernels
):
    """Two ways once each, after a pass that warms up, at a second each: 4 of 100 s."""
    monkeypatch.setattr("lacewing.planning.trial.measure.DETAILS_SHARE", share)
    slow = FakeBackend("cpu", faults=Faults(seconds={"fp32": 1.0, "bf16": 1.0}))
    found = scene(slow, optimizer="adamw", plan_budget=100.0).measure()
    assert {one.way.kernel for one in found.training} == kernels


def test_a_short_budget_times_the_likely_way_and_full_precision_on_a_gpu(scene):
    """Each way's first pass may be a long search for algorithms."""
    fake = FakeBackend(faults=Faults(seconds={"fp32": 1.0, "bf16": 0.5}))
    found = scene(fake, plan_budget=0.1).measure()
    for best, tried in ((found.best, found.training), (found.best_forward, found.forward)):
        assert best.way.describe() == "bf16 channels_last"
        outs = {one.way.describe(): one.out for one in tried}
        assert outs.pop("bf16 channels_last") == outs.pop("fp32 contiguous") == ""
        assert set(outs.values()) == {NO_TIME}


def test_a_short_budget_still_times_every_way_on_a_cpu(scene):
    fake = FakeBackend("cpu", faults=Faults(seconds={"fp32": 1.0, "bf16": 0.5}))
    made = scene(fake, plan_budget=0.1)
    before = fake.now
    found = made.measure()
    assert found.best.way.precision == "bf16"
    # four ways twice, forward and backward, and two passes that count the memory
    assert fake.now - before <= 16
    assert all(one.seconds for one in found.training)


@pytest.mark.parametrize(("plan_budget", "images"), [(20.0, 5), (1.0, 4), (1000.0, 8)])
def test_a_pass_has_as_many_images_as_its_race_has_time_for(scene, plan_budget, images):
    """Eight images take a second: 40 % of 20 s let four ways run three passes of five."""
    fake = FakeBackend(faults=Faults(seconds={"fp32": 1.0, "bf16": 1.0}))
    found = scene(fake, plan_budget=plan_budget).measure()
    assert {one.way.images for one in found.training} == {images}


@pytest.mark.parametrize(("epochs", "images", "forward"), [(2, 4, 4), (300, 7, 10), (400, 8, 14)])
def test_a_run_without_a_budget_is_as_long_as_its_first_pass_tells(scene, epochs, images, forward):
    """Three steps of a second each epoch; of 900 s the trial may take 27, of 1200 s 36."""
    fake = FakeBackend(faults=Faults(seconds={"fp32": 1.0, "bf16": 1.0}))
    found = scene(fake, epochs=epochs).measure()
    assert {one.way.images for one in found.training} == {images}
    assert {one.way.images for one in found.forward} == {forward}


def test_a_first_pass_that_gives_no_number_leaves_no_trace(scene):
    """What it did to the statistics would spoil every forward-only pass."""
    made = scene(FakeBackend("cpu"))
    made.fake.faults = Faults(seconds={"fp32": 0.1, "bf16": 0.1}, precisions={"bf16": "nan"})
    found = made.measure(precision=Choice("bf16", "", "rule"))
    assert found.best_forward.way.precision == "fp32"
    assert math.isfinite(found.fastest_seconds)


def test_no_size_is_tried_where_not_all_can_be(scene):
    fake = FakeBackend(faults=Faults(seconds={"fp32": 1.0, "bf16": 1.0}))
    found = scene(fake, batch_size=16, accumulate=True, plan_budget=20.0).measure()
    assert found.sizes == ()
    fake = FakeBackend(faults=Faults(seconds={"fp32": 1.0, "bf16": 1.0}))
    found = scene(fake, batch_size=16, accumulate=True, plan_budget=200.0).measure()
    assert [one.way.images for one in found.sizes] == [16, 8, 6, 4]


@pytest.mark.parametrize("accumulate", [False, True])
def test_a_run_is_as_long_as_its_images_however_large_the_raced_passes(scene, accumulate):
    """Of 4 images by the rules' plan, and of all 16 in the race: the steps take 200 s."""
    made = scene(FakeBackend(faults=Faults(seconds={"fp32": 0.2, "bf16": 0.2})), batch_size=16,
                 accumulate=accumulate, epochs=1000)  # fmt: skip
    small = {"micro_batch": Choice(4, "", "rule"), "accumulation": Choice(4, "", "rule")}
    found = made.measure(**(small if accumulate else {}))
    assert found.training[0].way.images == 16
    assert found.allowed_seconds == pytest.approx(allowance(1000 * 0.2))


def test_the_trial_of_several_processes_is_as_long_as_the_run_of_one_of_them(plan_on, make_job):
    """1000 epochs of 24 steps of 40 images at 0.1 s."""
    plan, config = plan_on("cpu_2core_24gb", epochs=1000), TrainConfig(epochs=1000)
    size = plan.batch.value
    job = make_job(training_images=24 * size)
    limits = []
    for processes in (1, 8):
        budget = budget_of(plan, config, job, lambda: 0.0, processes)
        budget.saw(0.1 / size)
        limits.append(budget.limit)
    assert limits == [allowance(2400.0), allowance(300.0)]


def test_what_a_short_trial_found_is_enough_for_several_processes(
    plan_on, recorded, make_job, found
):
    """100 epochs of 1,000 images at 0.05 s: 5,000 s, of which 3 % are 150; or 625 s and 19."""
    plan, machine = plan_on("cpu_2core_24gb"), recorded("cpu_2core_24gb")
    looked = found(allowed_seconds=20.0, fastest_seconds=0.05)
    about = (plan, TrainConfig(epochs=100), machine, make_job(), ())
    enough = [is_enough(looked, *about, each) for each in (1, 8)]
    assert enough == [False, True]


def test_measured_sizes_are_bounded_by_the_data(scene):
    found = scene(FakeBackend(faults=Faults(seconds={"fp32": 0.1})), batch_size="auto").measure()
    assert max(one.way.images for one in found.sizes) <= 24
    # a fake pass takes the same time at any size: the largest is the fastest per image
    assert found.sizes[-1].way.images == 16


def test_peaks_of_a_device_give_the_line(scene):
    # asked for before the network, then for 2, 4 and 8 images
    peaks = (1000, 1000 + 700, 1000 + 900, 1000 + 1300)
    found = scene(FakeBackend(peaks=peaks), precision="fp32").measure()
    assert found.memory_measured
    assert found.memory.points == ((2, 700), (4, 900), (8, 1300))
    assert found.memory.image_bytes == pytest.approx(100)


def test_the_peak_of_a_forward_only_pass_is_weighed_too(scene):
    # and after the steps: what stays, and what 256 images add to it
    peaks = (1000, 1700, 1900, 2300, 2000, 2160)
    found = scene(FakeBackend(peaks=peaks), precision="fp32").measure()
    assert found.best_forward.way.images == 16
    assert found.memory.eval_image_bytes == pytest.approx(160 / 256)
    found = scene(FakeBackend(peaks=peaks), precision="fp32", eval_size=64).measure()
    assert found.memory.eval_image_bytes == pytest.approx(4 * 160 / 256), "twice the side"


@pytest.mark.parametrize(
    ("peak", "size", "fixed"), [(1350, 8, 550), (1250, 8, 500), (1600, 6, 800), (None, 6, 700)]
)
def test_a_size_between_the_measured_ones_is_run_before_it_is_planned(
    scene, monkeypatch, peak, size, fixed
):
    """24 images as 8, 8, 8: 500 MiB and 100 an image by the line through 6 and 12, 1500 allowed."""
    ran = []

    def two_steps(bench, way):
        ran.append(way.images)
        return None if peak is None else (1000 + peak) * MIB

    monkeypatch.setattr("lacewing.planning.trial.verify.two_steps", two_steps)
    peaks = [mib * MIB for mib in (1000, 1000 + 1100, 1000 + 1700, 1000, 1000)]
    made = scene(FakeBackend(peaks=peaks), precision="fp32", batch_size=24)
    made.plan = replace(made.plan, memory_bytes=Choice(1500 * MIB, "", "rule"))
    found = made.measure()
    assert ran == [8]
    assert found.memory.image_bytes == pytest.approx(100 * MIB)
    assert found.memory.fixed_bytes == pytest.approx(fixed * MIB, rel=1e-3)
    job = job_of(made.config, made.work.info, None, made.work.index)
    assert fit_to_memory(made.plan, found, job).micro_batch.value == size


@pytest.mark.parametrize("freeze_norms", [None, True])
def test_norms_are_timed_as_the_run_will_have_them(scene, freeze_norms):
    made = scene(FakeBackend(), freeze_norms=freeze_norms)
    bench, _ = set_up(made.plan, made.config, made.work, made.fake, 0, lambda: made.fake.now)
    assert bench.freeze_norms is bool(freeze_norms)
    frozen = made.measure()
    assert all(one.out == "" for one in frozen.training), "every copy has the same statistics"


def test_a_network_that_does_not_fit_at_all_is_an_error_with_a_remedy(scene, monkeypatch):
    def build(*args):
        raise FakeOutOfMemoryError("full")

    made = scene(FakeBackend())
    monkeypatch.setattr("lacewing.planning.trial.stage.build_model", build)
    says = r"test_resnet does not fit .* MiB of the .* use a smaller --model"
    with pytest.raises(PlanError, match=says):
        made.measure()


def test_a_copy_that_does_not_fit_is_such_an_error_too(scene, monkeypatch):
    def full(*_):
        raise FakeOutOfMemoryError("full")

    made = scene(FakeBackend())
    monkeypatch.setattr("lacewing.planning.trial.measure.only_weighed", full)
    monkeypatch.setattr("lacewing.planning.trial.measure.images_that_fit", lambda trial: 0)
    with pytest.raises(PlanError, match=r"test_resnet does not fit .* use a smaller --model"):
        made.measure()


def test_judging_is_forecast_in_full_precision_though_it_was_timed_in_another_format(way):
    half = Lane(way(precision="bf16", memory_format="channels_last"), seconds=[1.0])
    full = Lane(way(), seconds=[3.0])
    like = Lane(way(memory_format="channels_last"), seconds=[2.0])
    untimed = Lane(way(memory_format="channels_last"), out=NO_TIME)
    assert plain_seconds([half, untimed, full]) == 0.3
    assert plain_seconds([half, full, like]) == 0.2
    assert plain_seconds([half, untimed]) == 0.1
