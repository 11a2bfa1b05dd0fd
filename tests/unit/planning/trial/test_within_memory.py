"""A plan within its memory: training's passes, and those that only look."""

from dataclasses import replace

import pytest

from lacewing.errors import PlanError
from lacewing.planning.trial.fitting import fit_to_memory, predicted_bytes
from lacewing.planning.trial.memory import MemoryModel
from lacewing.values import MIB, Choice

MODEL = MemoryModel(fixed_bytes=100.0 * MIB, image_bytes=10.0 * MIB, eval_image_bytes=4.0 * MIB)
IMAGE_BYTES = 3 * 32 * 32 * 4


@pytest.fixture
def fitted(plan_on, make_job, found):
    """`fitted(allowed)`: a plan of 16 images a pass, and 32 in evaluation, within so many MiB."""

    def fit(allowed, model=MODEL, **values):
        usual = {"micro_batch": 16, "batch": 16, "eval_batch": 32, "image_size": 32,
                 "memory_bytes": allowed and allowed * MIB, "pixels": "none"}  # fmt: skip
        choices = {name: Choice(v, "", "rule") for name, v in {**usual, **values}.items()}
        plan = replace(plan_on("h100_80gb"), **choices)
        return fit_to_memory(plan, found(memory=model), make_job())

    return fit


def sizes(plan):
    return [getattr(plan, name).value for name in ("micro_batch", "accumulation", "eval_batch")]


def test_what_fits_stays(fitted):
    assert sizes(fitted(260)) == [16, 1, 32]
    assert fitted(None).eval_batch.source == "rule"


def test_evaluation_shrinks_by_itself(fitted):
    plan = fitted(260, replace(MODEL, eval_image_bytes=8.0 * MIB))
    assert sizes(plan) == [16, 1, 20]
    assert plan.eval_batch.reason == "32 would take 356.0 MiB, over the 260.0 MiB allowed"


def test_evaluation_follows_training(fitted):
    assert sizes(fitted(181)) == [8, 2, 16]
    assert sizes(fitted(181, replace(MODEL, eval_image_bytes=20.0 * MIB))) == [8, 2, 4]


def test_evaluation_that_was_not_measured_is_left_alone(fitted):
    assert sizes(fitted(260, replace(MODEL, eval_image_bytes=0.0))) == [16, 1, 32]


def test_a_single_image_that_does_not_fit_is_refused(fitted):
    with pytest.raises(PlanError, match=r"needs about 110\.\d MiB for a pass of a single image"):
        fitted(105)


def test_a_refusal_counts_what_lies_beside_the_steps_to_the_need(plan_on, make_job, found):
    """Not taken off what is allowed, of which nothing might be left."""
    memory, size = Choice(200 * MIB, "", "rule"), Choice(32, "", "rule")
    plan = replace(plan_on("cpu_2core_24gb", workers=0), memory_bytes=memory, image_size=size)
    findings = found(memory=MODEL, snapshot_bytes=300 * MIB)
    says = r"about 410\.\d MiB .*, 210\.\d MiB more than the 200\.0 MiB that this run"
    with pytest.raises(PlanError, match=says):
        fit_to_memory(plan, findings, make_job())


def test_a_refusal_blames_the_batch_where_most_is_its_images(fitted):
    """255 images of 512 pixels have 765 MiB; a pass of one would fit by far."""
    large = {"image_size": 512, "batch": 256}
    says = (
        r"about 875\.\d MiB for a pass of a single image beside 765\.0 MiB of its batch's other "
        r"images, .*: use a smaller --batch-size, a smaller --model"
    )
    with pytest.raises(PlanError, match=says):
        fitted(500, **large)
    with pytest.raises(PlanError, match="for a pass of a single image, "):
        fitted(105)


def test_the_higher_of_the_two_peaks_is_predicted(fitted, found, make_job):
    plan = fitted(None)
    for eval_image_bytes, expected in ((4.0, 260), (8.0, 356)):
        model = replace(MODEL, eval_image_bytes=eval_image_bytes * MIB)
        assert predicted_bytes(plan, found(memory=model), make_job()) == expected * MIB


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize(("machine", "workers", "images"), [("h100_80gb", 8, 12),
                         ("cpu_2core_24gb", 0, 12), ("cpu_2core_24gb", 1, 32)])  # fmt: skip
def test_the_rest_of_a_batch_lies_beside_its_passes(
    plan_on, make_job, found, machine, workers, images, memory_format
):
    """12 of 16 images, in one format: each pass has its own copied; threads hold whole batches."""
    values = {"micro_batch": 4, "batch": 16, "eval_batch": 1, "image_size": 32, "pixels": "none",
              "workers": workers, "prefetch": workers, "memory_format": memory_format}  # fmt: skip
    choices = {name: Choice(value, "", "rule") for name, value in values.items()}
    plan = replace(plan_on(machine), **choices)
    predicted = predicted_bytes(plan, found(memory=MODEL), make_job())
    assert predicted == 140 * MIB + images * IMAGE_BYTES


@pytest.mark.parametrize(
    ("machine", "pixels", "images"),
    [("h100_80gb", "ram", 32), ("h100_80gb", "device", 0), ("cpu_2core_24gb", "ram", 0)],
)
def test_decoded_images_of_two_batches_are_on_their_way_to_a_cuda_device(
    plan_on, make_job, found, machine, pixels, images
):
    """3 MiB each, of 1,000; what lies there does not cross."""
    sent = make_job(device_bytes=lambda size: 3000 * MIB if size == 32 else 0)
    values = {"micro_batch": 16, "batch": 16, "eval_batch": 16, "image_size": 32, "pixels": pixels,
              "workers": 0, "prefetch": 0}  # fmt: skip
    choices = {name: Choice(value, "", "rule") for name, value in values.items()}
    plan, findings = replace(plan_on(machine), **choices), found(memory=MODEL)
    taken = predicted_bytes(plan, findings, make_job())
    assert predicted_bytes(plan, findings, sent) == taken + images * 3 * MIB
    tight = replace(plan, memory_bytes=Choice(taken, "", "rule"))
    assert fit_to_memory(tight, findings, make_job()).micro_batch.value == 16
    assert (fit_to_memory(tight, findings, sent).micro_batch.value < 16) is bool(images)


def test_smaller_passes_leave_room_for_the_rest_of_the_batch(fitted):
    """An image of 512 pixels has 3 MiB: passes of 8 would take 180, and 24 beside them."""
    large = {"image_size": 512, "memory_format": "contiguous"}
    assert sizes(fitted(260, **large)) == [16, 1, 32]
    assert sizes(fitted(185, **large))[:2] == [4, 4]


@pytest.mark.parametrize(("workers", "batches"), [(0, 0), (1, 2), (3, 4)])
@pytest.mark.parametrize(("snapshot", "taken"), [(50, 260), (500, 600)])
def test_snapshot_and_batches_made_ahead_lie_beside_the_steps_on_a_cpu(
    plan_on, make_job, found, workers, batches, snapshot, taken
):
    values = {"micro_batch": 16, "batch": 16, "eval_batch": 32, "image_size": 32,
              "pixels": "none", "workers": workers, "prefetch": workers}  # fmt: skip
    choices = {name: Choice(value, "", "rule") for name, value in values.items()}
    plan = replace(plan_on("cpu_2core_24gb"), **choices)
    findings = found(memory=MODEL, snapshot_bytes=snapshot * MIB)
    beside = snapshot * MIB + batches * 16 * IMAGE_BYTES
    assert predicted_bytes(plan, findings, make_job()) == taken * MIB + beside
    for room, micro in ((260, 16), (181, 8)):
        tight = replace(plan, memory_bytes=Choice(beside + room * MIB, "", "rule"))
        assert fit_to_memory(tight, findings, make_job()).micro_batch.value == micro


@pytest.mark.parametrize(("machine", "copies"), [("h100_80gb", 1), ("cpu_2core_24gb", 2)])
def test_an_average_of_the_weights_lies_beside_the_steps(plan_on, make_job, found, machine, copies):
    """On the CPU the newest snapshot has a copy of it too."""
    findings, averaged = found(memory=MODEL), make_job(average_bytes=30 * MIB)
    values = {"micro_batch": 16, "batch": 16, "eval_batch": 16, "image_size": 32, "pixels": "none",
              "workers": 0, "prefetch": 0}  # fmt: skip
    choices = {name: Choice(value, "", "rule") for name, value in values.items()}
    plan = replace(plan_on(machine), **choices)
    taken = predicted_bytes(plan, findings, make_job())
    assert predicted_bytes(plan, findings, averaged) == taken + copies * 30 * MIB
    tight = replace(plan, memory_bytes=Choice(taken, "", "rule"))
    assert fit_to_memory(tight, findings, make_job()).micro_batch.value == 16
    assert fit_to_memory(tight, findings, averaged).micro_batch.value < 16
