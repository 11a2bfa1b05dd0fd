"""How many images a pass may have: what all that is raced takes is counted too."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.modules.module import register_module_forward_pre_hook

from lacewing.errors import PlanError
from lacewing.hardware.fake import FakeBackend, FakeOutOfMemoryError
from lacewing.performance_config import TIERS
from lacewing.planning.trial import images, memory, weigh
from lacewing.planning.trial.budget import Budget
from lacewing.planning.trial.context import Trial, TrialError
from lacewing.planning.trial.findings import Findings
from lacewing.planning.trial.fitting import fit_to_memory
from lacewing.planning.trial.memory import MemoryModel
from lacewing.planning.trial.peaks import Peaks
from lacewing.planning.trial.stage import set_up
from lacewing.planning.trial.ways import reference
from lacewing.training.setup import job_of
from lacewing.values import Choice

PX = (3, 32, 32)
"""Of an image that the trial's network is given."""


@pytest.fixture
def seen():
    """The images that modules are given, in their order; those of the catalogue are not noted."""
    given = []

    def note(_, inputs):
        one = inputs[0]
        if isinstance(one, FakeTensor) or (one.shape[1:] == PX and one.device.type != "meta"):
            given.append(one)

    handle = register_module_forward_pre_hook(note)
    yield given
    handle.remove()


def begun(made, plan):
    """A trial of a plan before its first pass."""
    bench, sample = set_up(plan, made.config, made.work, made.fake, 0, lambda: 0.0)
    return Trial(
        plan=plan,
        config=made.config,
        machine=made.machine,
        job=job_of(made.config, made.work.info, None, made.work.index),
        tier=TIERS[plan.tier.value],
        bench=bench,
        sample=sample,
        budget=Budget(lambda: 0.0, images=1),
        base_bytes=0,
    )


@pytest.mark.parametrize(
    ("kind", "allowed", "expected", "lean"),
    [
        ("cuda", 13_112, 8, False),
        ("cuda", 13_000, 8, True),
        ("cuda", 6_000, 4, True),
        ("cuda", 5_000, 1, True),
        ("cpu", 13_112, 8, False),
        ("cpu", 6_000, 4, True),
        ("cpu", 5_000, 0, True),
    ],
)
def test_a_race_takes_eleven_times_the_weights_or_five(
    scene, monkeypatch, kind, allowed, expected, lean
):
    """Weights of 1,000 bytes and images of 100; 0.9 of what is allowed may be taken.

    As it was built; weights and gradients in two formats; moments of three optimisers.
    """
    made = scene(FakeBackend(kind))
    values = {"memory_bytes": allowed, "micro_batch": 8, "batch": 8}
    choices = {name: Choice(value, "", "rule") for name, value in values.items()}
    trial = begun(made, replace(made.plan, **choices))
    counted = MemoryModel(fixed_bytes=4000.0, image_bytes=100.0)
    monkeypatch.setattr(images, "count_pass", lambda *_, by_shapes: (counted, not by_shapes))
    assert images.images_that_fit(trial) == expected
    assert trial.bench.lean is lean


@pytest.mark.parametrize("measured", [{2: 500, 4: 900}, {}])
def test_what_is_counted_on_not_to_fit_is_weighed_by_a_child_alone(scene, monkeypatch, measured):
    made, asked = scene(FakeBackend("cpu"), optimizer="adamw"), []

    def peaks_in_child(task, seconds):
        asked.append(task.sizes)
        return Peaks(measured)

    monkeypatch.setattr(weigh, "peaks_in_child", peaks_in_child)
    found = made.measure(memory_bytes=Choice(1000, "", "rule"))
    assert made.fake.forward_calls == 2, "two that count, and no step"
    assert len(asked) == 1
    assert found.best.seconds is None
    assert found.memory_measured is bool(measured)
    assert found.memory.points == tuple(measured.items())
    assert found.cut_at_bytes == 1000
    if not measured:
        # of four copies of the weights all but the gradients, and BatchNorm's statistics
        assert found.snapshot_bytes == pytest.approx(0.75 * found.memory.fixed_bytes, rel=0.1)
    assert Findings.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def full_at_two_images(monkeypatch):
    """On a GPU that holds no pass of two images."""

    def full(*_):
        raise FakeOutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(memory, "saved_bytes", full)
    monkeypatch.setattr(weigh, "peaks_here", lambda *_: {})


def test_what_a_gpu_does_not_hold_is_counted_by_shapes_and_refused(scene, monkeypatch):
    full_at_two_images(monkeypatch)
    made = scene(FakeBackend(), image_size=64)
    made.plan = replace(made.plan, memory_bytes=Choice(10_000, "", "rule"))
    found = made.measure()
    assert found.best.seconds is None
    assert found.memory.image_bytes > 0
    job = job_of(made.config, made.work.info, None, made.work.index)
    says = r"for a pass of a single image beside .*, .* more than the"
    with pytest.raises(PlanError, match=says):
        fit_to_memory(made.plan, found, job)


def test_where_shapes_say_that_it_should_fit_the_ways_are_raced(scene, monkeypatch):
    full_at_two_images(monkeypatch)
    found = scene(FakeBackend(), image_size=64).measure()
    assert found.best.seconds is not None


def test_a_full_memory_is_the_reason_where_shapes_can_not_be_counted_either(scene, monkeypatch):
    def looks_at_values(*_):
        raise RuntimeError("there are none")

    full_at_two_images(monkeypatch)
    monkeypatch.setattr(memory, "saved_by_shapes", looks_at_values)
    with pytest.raises(TrialError, match="the memory is full"):
        scene(FakeBackend()).measure()


def test_the_cpu_counts_without_a_pass(scene, monkeypatch, seen):
    """One that the memory does not hold would end the process, and with it the refusal."""
    monkeypatch.setattr(weigh, "peaks_in_child", lambda task, seconds: Peaks({}))
    found = scene(FakeBackend("cpu")).measure(memory_bytes=Choice(1000, "", "rule"))
    assert seen
    assert all(isinstance(one, FakeTensor) for one in seen)
    assert found.memory.image_bytes > 0


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_what_is_counted_is_the_same_with_and_without_a_pass(scene, monkeypatch, seen, kind):
    counts = []
    count = memory.counted

    def noted(*args, by_shapes):
        counts.append((by_shapes, count(*args, by_shapes=by_shapes)))
        return counts[-1][1]

    monkeypatch.setattr(memory, "counted", noted)
    scene(FakeBackend(kind), precision="fp32", memory_format="contiguous").measure()
    assert [by_shapes for by_shapes, _ in counts] == [kind == "cpu", False]
    assert counts[0][1] == counts[1][1]


def test_a_network_that_looks_at_values_is_counted_by_a_pass(scene, monkeypatch, seen):
    def looks_at_values(*_):
        raise RuntimeError("there are none")

    monkeypatch.setattr(memory, "saved_by_shapes", looks_at_values)
    monkeypatch.setattr(weigh, "peaks_in_child", lambda task, seconds: Peaks({}))
    found = scene(FakeBackend("cpu")).measure(memory_bytes=Choice(1000, "", "rule"))
    assert found.memory.image_bytes > 0
    assert {len(one) for one in seen} == {images.COUNTING_IMAGES}


def test_a_network_that_notes_what_it_made_meets_no_tensor_without_values(scene):
    def note(module, inputs):
        if not hasattr(module, "noted"):
            module.noted = inputs[0].new_zeros(1)

    made = scene(FakeBackend("cpu"))
    trial, way = begun(made, made.plan), reference(made.plan)
    trial.bench.model.register_forward_pre_hook(note)
    assert images.count_memory(trial, way).image_bytes > 0
    assert not memory.keeps_shapes(trial.bench.copy(way.memory_format))
    assert not hasattr(trial.bench.copy(way.memory_format), "noted")


def test_a_network_that_can_not_be_copied_is_not_counted(scene, monkeypatch):
    def full(*_):
        raise FakeOutOfMemoryError("can't allocate memory")

    made = scene(FakeBackend("cpu"))
    trial = begun(made, made.plan)
    monkeypatch.setattr(trial.bench, "copy", full)
    with pytest.raises(TrialError):
        images.count_memory(trial, reference(made.plan))


@pytest.mark.parametrize(
    ("kind", "share", "passes"),
    [
        ("cpu", 0.5, (16, 16)), ("cpu", 0.4, (4, 16)), ("cpu", 0.15, (4, 11)),
        ("cpu", 0.05, (4, 4)), ("cuda", 0.5, (16, 16)), ("cuda", 0.4, (13, 13)),
        ("cuda", 0.05, (4, 4)),
    ],
)  # fmt: skip
def test_a_short_time_goes_into_one_large_pass_of_each_way_on_a_cpu(kind, share, passes):
    """A second an image, two ways, and 200 s of which they have a share."""
    bench = SimpleNamespace(backend=FakeBackend(kind))
    trial = SimpleNamespace(bench=bench, budget=Budget(lambda: 0.0, images=1, asked=200.0))
    sizes = images.passes_in_time(trial, 16, 2, 1.0, share)
    assert (sizes.first, sizes.timed) == passes
    assert images.passes_in_time(trial, 2, 2, 1.0, share) == images.PassSizes(2, 2)
    trial.budget = Budget(lambda: 0.0, images=1, asked=5.0)
    short = images.passes_in_time(trial, 16, 2, 0.025, 0.4)
    assert short == images.PassSizes(13, 13), "a pass of 16 takes less than half a second"
    assert images.passes_in_time(trial, 16, 2, 0.0, share) == images.PassSizes(16, 16)
