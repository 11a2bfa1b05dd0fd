"""What was measured becomes the plan; what the user asked for stays."""

from dataclasses import replace

import pytest

from lacewing.config import TrainConfig
from lacewing.errors import PlanError
from lacewing.performance_config import EVAL_TO_INPUT, TIERS
from lacewing.planning.check import check_arithmetic
from lacewing.planning.loaders import keep_for_evaluation
from lacewing.planning.make import make_plan
from lacewing.planning.trial.findings import CompileTime, Fed, Findings, Timed
from lacewing.planning.trial.forecast import Amounts
from lacewing.planning.trial.memory import MemoryModel
from lacewing.planning.trial.other_sizes import sizes_beside
from lacewing.planning.trial.refine import Asked, refine
from lacewing.values import GIB, MIB, format_seconds

AMOUNTS = Amounts(training=1000, validation=100, test=200, epochs=10)


@pytest.fixture
def refined(plan_on, make_job, found):
    """`refined(findings, batch_size=16)`: the plan of a 2-core CPU after a trial."""

    def make(findings=None, processes=1, **words):
        config = TrainConfig(**words)
        plan = plan_on("cpu_2core_24gb", **words)
        tier = TIERS["cpu"]
        amounts = replace(AMOUNTS, processes=processes)
        asked = Asked(config=config, job=make_job(), tier=tier, amounts=amounts, cores=2,
                      compile_modes=("default",) if config.compile is None else ())  # fmt: skip
        return refine(plan, findings or found(), asked)

    return make


def test_the_fastest_is_taken_with_its_figures(refined):
    plan = refined()
    assert (plan.precision.value, plan.memory_format.value) == ("bf16", "channels_last")
    assert plan.precision.source == "measured"
    assert plan.precision.reason == (
        "20 images/s in bf16 channels_last, the best of 3; 10 in fp32 contiguous"
    )
    assert plan.precision.evidence == {
        "fp32 contiguous fused, 2 threads, 10 images": 10.0,
        "bf16 contiguous fused, 2 threads, 10 images": "slower by 40% after 2 rounds",
        "bf16 channels_last fused, 2 threads, 10 images": 20.0,
    }


def test_what_the_user_asked_for_stays(refined):
    plan = refined(precision="fp32", memory_format="contiguous", threads=1, compile="off")
    for choice in (plan.precision, plan.memory_format, plan.threads, plan.compile):
        assert choice.source == "user"
    assert plan.precision.value == "fp32"


def test_a_decision_without_alternatives_stays_the_rules(refined):
    assert refined().optimizer_kernel.source == "rule"
    assert refined().threads.source == "rule"


def test_kernel_and_threads_are_compared_with_their_like(refined, found, way):
    fast = {"precision": "bf16", "memory_format": "channels_last"}
    best = Timed(way=way(**fast, threads=1), seconds=0.4)
    rows = (
        Timed(way=way(), seconds=1.0),
        Timed(way=way(**fast), seconds=0.5),
        Timed(way=way(**fast, threads=1, kernel="foreach"), seconds=0.45),
        best,
    )
    plan = refined(found(best=best, training=rows))
    assert plan.threads.value == 1
    assert len(plan.threads.evidence) == 2
    assert len(plan.optimizer_kernel.evidence) == 2
    assert plan.threads.reason == "25 images/s with 1 thread; 20 with 2 threads"
    assert plan.optimizer_kernel.reason == "25 images/s with fused; 22 with foreach"


def test_a_plan_that_fits_its_memory_is_left_alone(refined, found):
    model = MemoryModel(fixed_bytes=100 * MIB, image_bytes=10 * MIB)
    plan = refined(found(memory=model, base_bytes=300 * MIB), batch_size=40)
    assert (plan.micro_batch.value, plan.accumulation.value) == (16, 1)
    # and two batches, one of them made ahead
    assert plan.measured.forecast["peak_bytes"] == 300 * MIB + 260 * MIB + 2 * 3 * MIB


def test_a_kept_batch_without_time_to_try_parts_is_one_pass_where_memory_allows(refined, found):
    roomy = MemoryModel(fixed_bytes=100 * MIB, image_bytes=10 * MIB)
    plan = refined(found(memory=roomy), batch_size=40, accumulate=True)
    assert (plan.micro_batch.value, plan.accumulation.value) == (40, 1)
    assert plan.micro_batch.reason.startswith("the largest pass")
    tight = MemoryModel(fixed_bytes=4 * GIB, image_bytes=GIB // 2)
    plan = refined(found(memory=tight), batch_size=40, accumulate=True)
    assert (plan.micro_batch.value, plan.accumulation.value) == (14, 3)
    unknown = refined(found(memory=None), batch_size=40, accumulate=True)
    assert (unknown.micro_batch.value, unknown.accumulation.value) == (14, 3)


def test_a_forward_pass_that_was_not_measured_is_bounded_for_a_whole_batch_too(refined, found):
    small = MemoryModel(fixed_bytes=MIB, image_bytes=MIB)
    words = {"batch_size": 64, "accumulate": True, "image_size": 224, "memory_share": 0.05}
    plan = refined(found(memory=small), **words)
    assert plan.micro_batch.value > 8
    each = EVAL_TO_INPUT * 224 * 224 * 3 * 4
    assert plan.eval_batch.value == plan.memory_bytes.value // each < 2 * plan.micro_batch.value


def test_what_was_only_weighed_leaves_the_rules_choices_and_forecasts_no_time(refined, found, way):
    best = Timed(way=way(), out="the memory is counted on to hold no pass")
    ahead = Timed(way=way(images=20), out=best.out)
    model = MemoryModel(fixed_bytes=100 * MIB, image_bytes=10 * MIB)
    plan = refined(found(best=best, training=(best,), best_forward=ahead, forward=(ahead,),
                         plain_seconds=0.0, memory=model))  # fmt: skip
    assert plan.precision.source == plan.compile.source == "rule"
    assert list(plan.measured.forecast) == ["peak_bytes"]
    assert [row["note"] for row in plan.measured.candidates] == [best.out, best.out]


def test_a_plan_that_does_not_fit_takes_more_passes_and_keeps_its_batch(refined, found):
    model = MemoryModel(fixed_bytes=4 * GIB, image_bytes=2 * GIB)
    before = refined(batch_size=40)
    plan = refined(found(memory=model), batch_size=40)
    assert plan.batch.value == before.batch.value == 16
    assert (plan.micro_batch.value, plan.accumulation.value) == (3, 6)
    assert plan.learning_rate.value == before.learning_rate.value
    assert plan.micro_batch.reason == "16 would take 36.0 GiB, over the 11.4 GiB allowed"
    check_arithmetic(plan)


def test_a_single_image_that_does_not_fit_is_an_error_that_says_what_would(refined, found):
    model = MemoryModel(fixed_bytes=4 * GIB, image_bytes=10 * GIB)
    with pytest.raises(PlanError) as caught:
        refined(found(memory=model))
    text = str(caught.value)
    assert "needs about 14.0 GiB for a pass of a single image, 2.6 GiB more than" in text
    # 128 x sqrt(7.4 / 10) is 110, and 96 the multiple of 32 below
    assert "use --image-size 96, a smaller --model such as mobilenet" in text


def test_weights_that_do_not_fit_leave_no_image_size(refined, found):
    model = MemoryModel(fixed_bytes=400 * GIB, image_bytes=GIB)
    with pytest.raises(PlanError, match="use a smaller --model"):
        refined(found(memory=model))


def test_a_measured_size_changes_what_follows_from_it(refined, found, way):
    rates = {4: 30.0, 5: 39.0, 6: 40.0}
    tried = tuple(Timed(way=way(images=n), seconds=n / rate) for n, rate in rates.items())
    plan = refined(found(sizes=tried), batch_size=16, learning_rate=0.016)
    assert (plan.micro_batch.value, plan.batch.value, plan.accumulation.value) == (5, 5, 1)
    assert plan.micro_batch.source == "measured"
    assert plan.learning_rate.value == pytest.approx(0.016 * 5 / 16)
    kept = refined(found(sizes=tried), batch_size=16, learning_rate=0.016, accumulate=True)
    assert (kept.batch.value, kept.accumulation.value) == (16, 3)
    assert kept.learning_rate.value == 0.016
    check_arithmetic(kept)


def test_pixels_go_to_the_device_where_the_network_leaves_room(plan_on, make_job, found):
    """0.8 of what is allowed and not taken: a byte more stays in RAM."""
    plan = plan_on("h100_80gb")
    model = MemoryModel(fixed_bytes=2 * GIB, image_bytes=10 * MIB)
    taken = model.bytes_for(plan.micro_batch.value)
    room = int(0.8 * (plan.memory_bytes.value - taken))

    def kept(need, own_memory=True, measured=True):
        job = make_job(device_bytes=lambda size: need, cache_bytes=lambda size: need + GIB)
        asked = Asked(config=TrainConfig(), job=job, tier=TIERS[plan.tier.value],
                      amounts=AMOUNTS, cores=16, own_memory=own_memory)  # fmt: skip
        return refine(plan, found(memory=model, memory_measured=measured), asked).pixels

    assert kept(room).value == "device"
    assert kept(room).evidence == {"need_bytes": room, "room_bytes": room, "evaluation": "ram"}
    assert kept(room + 1).value == "ram"
    assert kept(room, own_memory=False).value == "ram"
    assert kept(room, measured=False).value == "ram"


SMALL_HOST = [
    # decoded images of training and of validation in GiB, room on the disk, place of each
    (14, 2, 0, "none", "device", "ram"),
    (14, 10, 0, "none", "device", "none"),
    (14, 10, 12, "none", "device", "disk"),
    (14, 2, 20, "disk", "device", "ram"),
    (70, 2, 0, "none", "none", "none"),
]


@pytest.fixture
def small_host(recorded, make_job, found):
    """`small_host(training, validation, disk)`: 80 GiB on the device, 32 of RAM: both plans."""

    def make(training, validation, disk, **amounts):
        machine = replace(recorded("h100_80gb"), memory_free_bytes=32 * GIB)
        gpu = replace(machine.devices[0], total_bytes=80 * GIB, free_bytes=80 * GIB)
        machine = replace(machine, devices=(gpu, *machine.devices[1:]))
        job = make_job(
            cache_bytes=lambda size: (training + validation) * GIB,
            device_bytes=lambda size: training * GIB,
            disk_bytes=disk * GIB,
        )
        plan = make_plan(TrainConfig(), machine, job)
        asked = Asked(config=TrainConfig(), job=job, tier=TIERS[plan.tier.value],
                      amounts=replace(AMOUNTS, **amounts), cores=16, own_memory=True)  # fmt: skip
        model = MemoryModel(fixed_bytes=2 * GIB, image_bytes=10 * MIB)
        return plan, refine(plan, found(memory=model, memory_measured=True), asked)

    return make


@pytest.mark.parametrize(("training", "validation", "disk", "rule", "place", "seen"), SMALL_HOST)
def test_pixels_on_the_device_need_no_room_in_ram(
    small_host, training, validation, disk, rule, place, seen
):
    before, plan = small_host(training, validation, disk)
    assert (before.pixels.value, plan.pixels.value) == (rule, place)
    assert keep_for_evaluation(plan) == seen


def test_the_reason_says_where_validation_stays(small_host):
    told = {"ram": "in RAM", "disk": "on the disk", "none": "decoded each time"}
    for training, validation, disk, _, _, seen in SMALL_HOST[:3]:
        _, plan = small_host(training, validation, disk)
        assert plan.pixels.reason.startswith("14.0 GiB of the ")
        assert plan.pixels.reason.endswith(f" leaves there; validation's {told[seen]}")


@pytest.mark.parametrize("amounts", [{"processes": 2}, {"undecoded": (0.5, 1.0)}])
def test_what_the_disk_has_for_others_is_not_decoded_anew(small_host, amounts):
    assert small_host(14, 2, 20, **amounts)[1].pixels.value == "disk"
    assert small_host(14, 2, 0, **amounts)[1].pixels.value == "device"


def test_threads_that_do_not_pay_are_left_out(refined, found):
    fed = (Fed(workers=0, seconds=0.01), Fed(workers=1, seconds=0.0125))
    plan = refined(found(fed=fed))
    assert (plan.workers.value, plan.prefetch.value) == (0, 0)
    assert plan.workers.source == "measured"
    assert plan.workers.reason == "100 images/s, images and network together; 80 with 1"
    assert plan.workers.evidence == {"0 threads": 100.0, "1 thread": 80.0}
    assert refined(found(fed=fed), workers=1).workers.source == "user"


def test_a_batch_that_has_grown_leaves_fewer_threads_that_hold_one(refined, found, way):
    fed = (Fed(workers=0, seconds=0.01), Fed(workers=8, seconds=0.001))
    sizes = tuple(Timed(way=way(images=n), seconds=1.0) for n in (4, 1000))
    assert refined(found(fed=fed), batch_size="auto").workers.value == 8
    plan = refined(found(fed=fed, sizes=sizes), batch_size="auto")
    assert plan.batch.value == 1000
    # 1.1 GiB of 11.4 for batches of 188 MiB: six, one of them in use
    assert (plan.workers.value, plan.prefetch.value, plan.workers.source) == (5, 5, "rule")


def test_compile_says_in_seconds_why_not(refined):
    plan = refined()
    # 62 steps of 16 images in 10 epochs, 0.05 s an image, of which a tenth may be saved
    assert plan.compile.value == "off"
    assert plan.compile.reason == "would cost about 1 min 0 s to save about 50 s"
    assert plan.compile.evidence == {"cost_seconds": 60.0, "saving_seconds": 49.6}
    assert plan.compile.source == "rule", "nothing of it was timed"


def test_compile_that_was_not_tried_is_off_and_says_how_much_time_there_was(refined, found):
    plan = refined(found(compile_left_seconds=12.0), epochs=1000)
    assert plan.compile.reason == "not tried: it takes about 1 min 0 s, and measuring had 12 s left"
    assert (plan.compile.value, plan.compile.source) == ("off", "rule")


def test_compile_that_did_not_work_says_so(refined, found):
    plan = refined(
        found(compile_tried=(CompileTime(cost_seconds=60.0, pass_seconds=None),)), epochs=1000
    )
    assert plan.compile.reason == "it did not work when it was tried"
    assert (plan.compile.value, plan.compile.source) == ("off", "measured")


def test_a_tier_that_does_not_compile_keeps_the_rules_reason(plan_on, make_job, found):
    plan = plan_on("gtx1650_4gb")
    asked = Asked(config=TrainConfig(), job=make_job(), tier=TIERS["mid"], amounts=AMOUNTS, cores=8)
    assert refine(plan, found(), asked).compile != plan.compile
    closed = replace(asked, compile_modes=())
    assert refine(plan, found(), closed).compile == plan.compile


@pytest.mark.parametrize(("seconds", "mode"), [(0.4, "default"), (0.49, "off"), (None, "off")])
def test_compile_is_taken_where_it_was_measured_to_pay(refined, found, seconds, mode):
    compiled = CompileTime(cost_seconds=60.0, pass_seconds=seconds)
    plan = refined(found(compile_tried=(compiled,)), epochs=10)
    assert plan.compile.value == mode
    assert plan.compile.source == "measured"


def test_compile_saves_of_several_processes_what_it_saves_one(refined, found):
    compiled = CompileTime(cost_seconds=60.0, pass_seconds=0.4)
    alone, eight = (
        refined(found(compile_tried=(compiled,)), processes=each, epochs=10) for each in (1, 8)
    )
    saved = [plan.compile.evidence["saving_seconds"] for plan in (alone, eight)]
    assert saved[1] == pytest.approx(saved[0] / 8, rel=0.01)
    assert (alone.compile.value, eight.compile.value) == ("default", "off")


@pytest.mark.parametrize(("budget", "mode", "saved"), [(299, "off", 59.8), (301, "default", 60.2)])
def test_compile_saves_no_more_than_the_budget_holds(refined, found, budget, mode, saved):
    """A fifth of what the passes take: 100 epochs of 992 images at 0.05 s would save 992 s."""
    compiled = CompileTime(cost_seconds=60.0, pass_seconds=0.4)
    plan = refined(found(compile_tried=(compiled,)), epochs=100, budget=float(budget))
    assert plan.compile.value == mode
    assert plan.compile.evidence["saving_seconds"] == pytest.approx(saved, abs=0.1)
    untried = refined(found(), epochs=100, budget=float(budget))
    assert untried.compile.evidence["saving_seconds"] == pytest.approx(budget / 10)


@pytest.mark.parametrize(("epochs", "mode"), [(5, "default"), (100, "reduce-overhead")])
def test_the_mode_is_the_cheapest_for_the_passes_of_this_run(refined, found, epochs, mode):
    """A slow compiler that saves more pays in a long run only."""
    tried = (
        CompileTime(cost_seconds=5.0, pass_seconds=0.45),
        CompileTime(mode="reduce-overhead", cost_seconds=100.0, pass_seconds=0.4),
    )
    plan = refined(found(compile_tried=tried), epochs=epochs)
    assert (plan.compile.value, plan.compile.source) == (mode, "measured")


@pytest.mark.parametrize(("image_bytes", "mode"), [(MIB, "reduce-overhead"), (GIB, "default")])
def test_graphs_of_one_pass_are_not_taken_where_memory_asks_for_several(
    refined, found, image_bytes, mode
):
    tried = (
        CompileTime(cost_seconds=5.0, pass_seconds=0.45),
        CompileTime(mode="reduce-overhead", cost_seconds=5.0, pass_seconds=0.4),
    )
    model = MemoryModel(fixed_bytes=GIB, image_bytes=image_bytes)
    plan = refined(found(compile_tried=tried, memory=model), epochs=100)
    assert (plan.accumulation.value > 1) is (mode == "default")
    assert plan.compile.value == mode
    only = refined(found(compile_tried=tried[1:], memory=model), epochs=100)
    assert only.compile.value == (mode if mode != "default" else "off")


def test_every_candidate_is_kept(refined):
    rows = refined().measured.candidates
    assert [row["pass"] for row in rows] == ["training"] * 3 + ["forward only"] * 2
    assert rows[1]["note"] == "slower by 40% after 2 rounds"
    assert "images_per_second" not in rows[1]
    assert ["chosen" in row for row in rows] == [False, False, True, False, True]


def test_threads_modes_and_peaks_are_candidates_too(refined, found):
    tried = (
        CompileTime(cost_seconds=45.0, pass_seconds=0.4),
        CompileTime(mode="reduce-overhead", cost_seconds=30.0, pass_seconds=None),
    )
    model = MemoryModel(fixed_bytes=0, image_bytes=MIB, points=((8, 8 * MIB),))
    full = found(
        fed=(Fed(workers=0, seconds=0.01), Fed(workers=1, seconds=0.0125)),
        compile_tried=tried,
        memory=model,
    )
    plan = refined(full, epochs=1000)
    assert plan.compile.value == "default"
    assert plan.measured.candidates[5:] == (
        {"pass": "decoding threads", "way": "0 threads", "images_per_second": 100.0, "note": "",
         "chosen": True},
        {"pass": "decoding threads", "way": "1 thread", "images_per_second": 80.0, "note": ""},
        {"pass": "torch.compile", "way": "default, 45 s to compile", "images_per_second": 25.0,
         "note": "", "chosen": True},
        {"pass": "torch.compile", "way": "reduce-overhead, 30 s to compile",
         "note": "it did not work"},
        {"pass": "memory", "way": "passes of 8 images", "bytes": 8 * MIB,
         "note": "8.0 MiB of memory"},
    )  # fmt: skip


def test_the_same_findings_give_the_same_plan_after_json(refined, found):
    import json

    full = found(
        memory=MemoryModel(fixed_bytes=1.5, image_bytes=2.5, points=((2, 5),)),
        compile_tried=(CompileTime(cost_seconds=2.0, pass_seconds=None),),
    )
    again = Findings.from_dict(json.loads(json.dumps(full.as_dict())))
    assert again == full
    assert refined(again) == refined(full)


def test_the_image_size_says_what_an_epoch_takes_at_others(refined):
    """A tier of 128 pixels, and a network of 224: 3.06 times as many."""
    plan = refined()
    seconds = plan.measured.forecast["epoch_seconds"]
    evidence = plan.image_size.evidence
    assert evidence["epoch_seconds_at_128"] == pytest.approx(seconds, abs=0.1)
    assert evidence["epoch_seconds_at_224"] == pytest.approx(seconds * (224 / 128) ** 2, abs=0.1)
    assert plan.image_size.reason == (
        f"the tier's size; an epoch takes about {format_seconds(seconds)} at 128, "
        f"{format_seconds(seconds * (224 / 128) ** 2)} at 224"
    )
    assert (plan.image_size.value, plan.image_size.source) == (128, "rule")
    assert refined(image_size=128).image_size.reason == "asked for"
    for words in ({"recipe": "finetune"}, {"progressive_resizing": True}):
        assert refined(**words).image_size.reason == "the tier's size"


@pytest.mark.parametrize(
    ("job", "sides"),
    [({}, [128, 224]), ({"fixed_size": True}, []), ({"size_multiple": 32}, [128, 224]),
     ({"native_size": 160, "size_multiple": 7}, [126, 161])],
)  # fmt: skip
def test_other_sizes_are_those_that_the_network_accepts(make_job, job, sides):
    assert sizes_beside(192, make_job(**job), TIERS["cpu"]) == sides
