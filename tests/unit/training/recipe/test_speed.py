"""What is measured before a recipe begins."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lacewing.data.open import open_images
from lacewing.data.preprocess import Preprocessing
from lacewing.engine.execution import Execution
from lacewing.hardware.fake import FakeBackend, FakeOutOfMemoryError
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.training.recipe import speed
from lacewing.training.recipe.speed import (
    DECODED,
    USUAL_DECODE_SECONDS,
    decode_seconds,
    decoding_adds,
    forward_speed,
    training_speed,
)
from lacewing.training.setup import prepare
from lacewing.values import Choice

RULE = Preprocessing(image_size=32, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.fixture
def index(tint_index, tmp_path):
    shutil.copytree(tint_index.root, tmp_path / "photos")
    return open_images(tmp_path / "photos", val_share=0.0, test_share=0.0)


def test_some_images_from_all_over_are_decoded(index, monkeypatch):
    read = []
    monkeypatch.setattr(speed, "load_pixels", lambda path, _: read.append(path))
    assert 0 <= decode_seconds(index, RULE) < 1
    assert DECODED <= len(read) <= 2 * DECODED
    assert {Path(path).parent.name for path in read} == {"aphid", "beetle", "moth"}


def test_what_can_not_be_read_is_passed_over(index):
    victim, *others = index.paths()
    Path(victim).unlink()
    assert decode_seconds(index, RULE) != USUAL_DECODE_SECONDS
    for path in others:
        Path(path).write_bytes(b"no image")
    assert decode_seconds(index, RULE) == USUAL_DECODE_SECONDS


@pytest.mark.parametrize(("failing", "done"), [((), True), ((1, 2), True), (range(1, 99), False)])
def test_a_rehearsal_that_exhausts_the_memory_goes_on_with_fewer_images(failing, done):
    fake = FakeBackend(out_of_memory_at=failing)
    fake.configure("fp32", 1, False)
    model = build_model(find_model("test_resnet"), 2, 0.0, None, 32)
    execution = Execution(device="cuda:0", micro_batch=4)
    found = training_speed(model, fake, 0, execution, 32, 4)
    assert (found is not None) == done


def test_a_pass_that_exhausts_the_memory_is_timed_with_fewer_images(monkeypatch):
    tried = []

    def passed(model, images, autocast):
        tried.append(len(images))
        if len(images) > most:
            raise FakeOutOfMemoryError("full")

    monkeypatch.setattr(speed, "eval_step", passed)
    fake, model = FakeBackend(), build_model(find_model("test_resnet"), 2, 0.0, None, 32)
    execution, most = Execution(device="cuda:0", micro_batch=16), 4
    assert forward_speed(model, fake, 0, execution, 32).images_per_second > 0
    assert list(dict.fromkeys(tried)) == [16, 8, 4]
    assert model.training
    most = 0
    with pytest.raises(FakeOutOfMemoryError):
        forward_speed(model, fake, 0, execution, 32)
    assert model.training, "as it was"


@pytest.mark.parametrize(
    ("device", "cores", "workers", "expected"),
    [
        ("cpu", 2, 0, 4.0),  # one thread, beside the network, on two cores
        ("cpu", 8, 0, 1.0),
        ("cuda:0", 9, 0, 1.0),
        ("cuda:0", 1, 0, 8.0),
    ],
)
def test_threads_share_the_decoding(small, monkeypatch, device, cores, workers, expected):
    monkeypatch.setattr(speed, "usable_cores", lambda: Choice(cores, "", "rule"))
    plan = prepare(small(device="cpu")).plan
    plan = replace(
        plan,
        device=replace(plan.device, value=device),
        workers=Choice(workers, "", "rule"),
    )
    assert decoding_adds(plan, 8.0) == expected


def test_threads_that_were_asked_for_are_all_there_are(small, monkeypatch):
    monkeypatch.setattr(speed, "usable_cores", lambda: Choice(8, "", "rule"))
    plan = prepare(small(device="cpu", workers=0)).plan
    assert decoding_adds(plan, 8.0) == 8.0
