"""When memory runs out: the same images, in more passes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lacewing.engine.prepare import to_format
from lacewing.errors import TrainingError
from lacewing.hardware.fake import FakeBackend
from lacewing.hardware.fake_faults import FakeOutOfMemoryError, running_out
from lacewing.models.catalog import find_model
from lacewing.planning.trial.fitting import held_bytes
from lacewing.store.run import read_lines
from lacewing.training import recovery
from lacewing.training.loop import train
from lacewing.training.rate_finder import search
from lacewing.values import Choice

SETTINGS = {"epochs": 2, "model": "test_convnext", "image_size": 64, "rotation": 5}


SPLIT = {"epochs": 2, "model": "test_resnet", "batch_size": 8}


def events(session, kind):
    return [event for event in read_lines(session.run.events) if event["kind"] == kind]


def split_from_the_start(begun, fake=None, **fields):
    """The undisturbed run in passes half as large."""
    calm = begun(fake or FakeBackend(), **SPLIT, **fields, name="calm")
    calm.progress.micro_batch //= 2
    train(calm)
    return calm


def break_updates(session, numbers):
    """Let the memory run out in the middle of these updates: half a state, one weight changed."""
    optimizer = session.optimizer
    weight = optimizer.param_groups[0]["params"][0]
    intact = running_out(numbers, optimizer.step)

    def step(*args, **options):
        try:
            return intact(*args, **options)
        except FakeOutOfMemoryError:
            optimizer.state[weight]["step"] = torch.tensor(0.0)
            with torch.no_grad():
                weight.add_(1.0)
            raise

    optimizer.step = step


def halve_after(session, steps):
    """From that step on, passes half as large."""
    intact, done = session.optimizer.step, []

    def step(*args, **options):
        result = intact(*args, **options)
        done.append(result)
        if len(done) == steps:
            session.progress.micro_batch //= 2
        return result

    session.optimizer.step = step


def weights(session):
    return torch.cat([value.flatten() for value in session.model.state_dict().values()])


def rows_seen(session, monkeypatch):
    seen = []
    prepare = session.train_loader._prepare
    monkeypatch.setattr(
        session.train_loader,
        "_prepare",
        lambda epoch, rows: seen.append(rows.tolist()) or prepare(epoch, rows),
    )
    return seen


def test_the_loss_curve_and_the_order_stay_what_they_were(begun, monkeypatch):
    calm = begun(FakeBackend(), **SETTINGS, name="calm")
    order = rows_seen(calm, monkeypatch)
    train(calm)
    full = begun(FakeBackend(out_of_memory_at={3, 4}), **SETTINGS, name="full")
    order_after = rows_seen(full, monkeypatch)
    train(full)
    assert order_after == order
    assert full.progress.micro_batch == 1
    # test_convnext has no BatchNorm: only the order of summation differs
    assert np.allclose(weights(full), weights(calm), atol=1e-4)
    for one, two in zip(*(read_lines(s.run.metrics) for s in (full, calm)), strict=True):
        assert one["train_loss"] == pytest.approx(two["train_loss"], abs=3e-4)


def test_an_error_at_once_is_the_run_with_that_split_to_the_bit(begun):
    full = begun(FakeBackend(out_of_memory_at={1}), **SPLIT, name="full")
    train(full)
    assert torch.equal(weights(full), weights(split_from_the_start(begun)))


def test_the_event_says_what_changed_and_the_memory_is_given_back(begun):
    calm = begun(FakeBackend(), **SETTINGS, name="calm")
    train(calm)
    session = begun(FakeBackend(out_of_memory_at={2}), **SETTINGS, name="full")
    train(session)
    (event,) = events(session, "out-of-memory")
    assert event["new"] == event["old"] // 2
    assert event["step"] == 1
    emptied = [one.backend.calls.count("empty_cache") for one in (calm, session)]
    assert emptied[1] == emptied[0] + 1


def test_only_the_images_of_a_pass_are_copied_into_another_format(begun, monkeypatch):
    session = begun(FakeBackend(), **{**SPLIT, "epochs": 1, "memory_format": "channels_last"})
    session.progress.micro_batch = 4
    copied = []

    def noted(images, memory_format):
        copied.append(len(images))
        assert memory_format == "channels_last"
        return to_format(images, memory_format)

    monkeypatch.setattr(recovery, "to_format", noted)
    train(session)
    assert set(copied) == {4}


def test_it_may_run_out_when_the_gradients_are_computed(begun):
    full = begun(FakeBackend(full_in_backward={1}), **SPLIT, name="full")
    started_with = full.progress.micro_batch
    train(full)
    assert full.progress.micro_batch == started_with // 2
    assert torch.equal(weights(full), weights(split_from_the_start(begun)))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adan"])  # adan counts in its groups
def test_a_first_update_that_ran_out_half_way_is_undone(begun, optimizer):
    full = begun(FakeBackend(), **SPLIT, optimizer=optimizer, name="full")
    break_updates(full, {1})
    train(full)
    calm = split_from_the_start(begun, optimizer=optimizer)
    assert torch.equal(weights(full), weights(calm))
    assert [event["step"] for event in events(full, "out-of-memory")] == [0]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_so_is_the_first_update_of_a_later_epoch(begun, optimizer):
    """There layers may begin to learn, for which the optimiser makes its state."""
    full, calm = (
        begun(FakeBackend(), **SPLIT, optimizer=optimizer, name=name) for name in ("full", "calm")
    )
    steps = full.train_loader.steps_per_epoch
    break_updates(full, {1 + steps})
    train(full)
    assert [event["step"] for event in events(full, "out-of-memory")] == [steps]
    halve_after(calm, steps)
    train(calm)
    assert torch.equal(weights(full), weights(calm))


def test_the_loss_scaler_forgets_it_too(begun):
    half = {"precision": "fp16", "clip_norm": 1.0, "optimizer": "adamw"}
    fakes = [FakeBackend(precisions=("fp32", "fp16")) for _ in range(2)]
    full = begun(fakes[0], **SPLIT, **half, name="full")
    break_updates(full, {1})
    train(full)
    calm = split_from_the_start(begun, fakes[1], **half)
    assert torch.equal(weights(full), weights(calm))
    assert full.scaler.state_dict() == calm.scaler.state_dict()


@pytest.mark.parametrize("number", [1, 5])
def test_an_update_of_the_search_that_ran_out_begins_the_search_anew(begun, number):
    found = []
    for name, broken in (("calm", set()), ("full", {number})):
        words = {**SPLIT, "learning_rate": "auto", "optimizer": "adamw"}
        session = begun(FakeBackend(), **words, name=name)
        if not broken:
            session.progress.micro_batch //= 2
        break_updates(session, broken)
        found.append(search(session))
    assert found[0] == found[1]


def kept_at(session, step):
    """Let the only snapshot within an epoch be that of the step."""
    session.keeper.due = lambda: session.progress.step == step


@pytest.mark.parametrize("kept", [2, 5])  # at the first epoch's end, and within the second one
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adan"])
def test_after_a_later_one_the_steps_since_the_last_snapshot_are_repeated(
    begun, monkeypatch, optimizer, kept
):
    words = {**SPLIT, "batch_size": 4, "optimizer": optimizer, "dropout": 0.2, "ema": 0.9}
    full, calm = (begun(FakeBackend(), **words, name=name) for name in ("full", "calm"))
    steps = full.train_loader.steps_per_epoch
    kept = max(kept, steps)
    assert kept + 2 < 2 * steps
    for session in (full, calm):
        kept_at(session, kept)
    break_updates(full, {kept + 3})
    halve_after(calm, kept)
    seen, expected = rows_seen(full, monkeypatch), rows_seen(calm, monkeypatch)
    for session in (full, calm):
        train(session)
    assert torch.equal(weights(full), weights(calm))
    assert torch.equal(averages(full), averages(calm))
    rows, undisturbed = (list(read_lines(s.run.metrics)) for s in (full, calm))
    for what in ("epoch", "train_loss", "val_loss", "learning_rate"):
        assert [row[what] for row in rows] == [row[what] for row in undisturbed]
    assert seen[-(2 * steps - kept) :] == expected[kept:]
    (event,) = events(full, "out-of-memory")
    assert (event["step"], event["field"], event["old"], event["new"]) == (
        kept,
        "micro_batch",
        4,
        2,
    )
    assert f"while step {kept + 2} changed the weights, back to step {kept}:" in event["message"]
    assert not events(full, "rollback")


def test_what_the_steps_took_that_were_in_vain_counts(begun, monkeypatch):
    """Each update takes 100 s; between the last snapshot and the torn one none is noted."""
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr("lacewing.training.meter.time", clock)
    session = begun(FakeBackend(), **SPLIT)
    steps = session.train_loader.steps_per_epoch
    break_updates(session, {steps + 2})
    update = session.optimizer.step

    def timed():
        clock.now += 100.0
        update()

    session.optimizer.step = timed
    train(session)
    assert session.progress.elapsed_seconds == clock.now == 100.0 * (session.progress.step + 2)


def averages(session):
    return torch.cat([value.flatten() for value in session.average.state.values()])


def test_a_later_update_that_never_fits_ends_the_run_once_passes_are_small(begun):
    session = begun(FakeBackend(), **SPLIT, optimizer="adamw")
    break_updates(session, range(4, 99))
    with pytest.raises(TrainingError, match="even without images"):
        train(session)
    assert [event["new"] for event in events(session, "out-of-memory")] == [4, 2]
    assert session.progress.step == session.keeper.good.step


def test_an_update_that_never_fits_names_the_optimiser_and_no_smaller_image(begun):
    session = begun(FakeBackend(), **SPLIT, optimizer="adamw")
    break_updates(session, range(1, 99))
    with pytest.raises(TrainingError, match=r"state take up to .* MiB of the .* GiB") as caught:
        train(session)
    assert "--optimizer sgd" in str(caught.value)
    assert "--image-size" not in str(caught.value)


def test_a_single_image_that_does_not_fit_ends_the_run_with_figures_and_advice(begun):
    session = begun(FakeBackend(out_of_memory_at=range(1, 99), peaks=[2**30]), **SETTINGS)
    with pytest.raises(
        TrainingError,
        match=r"a single image of 64 pixels \(weights, .* 1\.0 GiB were taken when it ran out, "
        r"6\.4 GiB are allowed\): use a smaller --image-size .* or --device cpu\.$",
    ):
        train(session)


def test_weights_that_fill_the_memory_are_not_helped_by_smaller_images(begun):
    fake = FakeBackend(out_of_memory_at=range(1, 99), total_bytes=2**20)
    with pytest.raises(TrainingError, match=r"use a smaller --model, --optimizer sgd, a larger"):
        train(begun(fake, **SETTINGS))


def test_weights_that_are_the_larger_part_are_not_either(begun):
    allowed = 1.5 * held_bytes(find_model(SETTINGS["model"]))
    fake = FakeBackend(out_of_memory_at=range(1, 99), total_bytes=int(allowed))
    with pytest.raises(TrainingError, match=r"use a smaller --model, --optimizer sgd, .*cpu\.$"):
        train(begun(fake, **SETTINGS, memory_share=1.0))


def test_passes_of_one_image_that_batchnorm_refuses_end_in_a_sentence(begun):
    session = begun(FakeBackend(out_of_memory_at={1, 2}), model="resnet18", batch_size=6)
    with pytest.raises(TrainingError, match=r"one image of 32 pixels .* --freeze-norms True"):
        train(session)


@pytest.mark.parametrize("mode", ["reduce-overhead", "cudagraphs"])
@pytest.mark.parametrize(("micro_batch", "compiled"), [(6, True), (3, False)])
def test_cuda_graphs_serve_steps_of_one_pass_only(begun, mode, micro_batch, compiled):
    """Their second pass would write where the first one's gradients lie."""
    session = begun(FakeBackend(), **{**SETTINGS, "epochs": 1})
    session.plan = replace(session.plan, compile=Choice(mode, "", "user"))
    session.progress.micro_batch = micro_batch
    used = []
    session.forward = Spy(session.model, used)
    train(session)
    assert bool(used) == compiled


@pytest.mark.parametrize(
    ("mode", "resets"), [("reduce-overhead", 1), ("cudagraphs", 1), ("default", 0)]
)
def test_the_memory_of_cuda_graphs_is_given_back_where_passes_are_halved(
    begun, monkeypatch, mode, resets
):
    fake = FakeBackend(out_of_memory_at={2})
    session = begun(fake, **{**SETTINGS, "epochs": 1})
    session.plan = replace(session.plan, compile=Choice(mode, "", "user"))
    session.forward = Spy(session.model, [])
    monkeypatch.setattr(torch.compiler, "reset", lambda: fake.calls.append("reset"))
    train(session)
    assert len(events(session, "out-of-memory")) == 1
    assert fake.calls.count("reset") == resets
    assert (session.forward is session.model) == bool(resets)
    if resets:
        assert fake.calls[fake.calls.index("reset") + 1] == "empty_cache"


class Spy(torch.nn.Module):
    """Stands in for a compiled network."""

    def __init__(self, model, used):
        super().__init__()
        self.model, self.used = model, used

    def forward(self, images):
        if self.training:
            self.used.append(len(images))
        return self.model(images)
