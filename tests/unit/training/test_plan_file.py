"""A plan from a file: obeyed with its own words, refused with others and for other work."""

from dataclasses import replace

import pytest
import torch

from lacewing.config import TrainConfig, load_config
from lacewing.errors import ConfigError, ModelError, PlanError
from lacewing.hardware.fake import FakeBackend, Faults, fake_backends
from lacewing.hardware.machine import Limit
from lacewing.planning import loaders
from lacewing.planning.document import load_plan, save_plan
from lacewing.planning.loaders import decoding_of
from lacewing.running.decide import prepared_fully
from lacewing.training.begin import begin
from lacewing.training.setup import obeyed, prepare


@pytest.fixture
def filed(small, tmp_path):
    """`filed(image_size=64)`: what is asked beside a plan file of the small run."""
    save_plan(prepare(small(device="cpu")).plan, tmp_path / "plan.yaml")
    return lambda **words: prepare(small(**{"plan": tmp_path / "plan.yaml", **words})).plan


def test_with_its_own_words_or_without_any(filed, tmp_path):
    plan = obeyed(load_plan(tmp_path / "plan.yaml"))
    assert filed() == plan
    free = {"batch_size": None, "learning_rate": None, "image_size": None, "threads": None}
    assert filed(**free) == plan


def test_the_notes_of_the_run_that_it_was_made_for_do_not_come_along(filed, tmp_path):
    plan = load_plan(tmp_path / "plan.yaml")
    said = ("Without effect in classic training: --wise-ft.", "2 processes train together.")
    save_plan(replace(plan, notes=said), tmp_path / "plan.yaml")
    assert filed() == obeyed(replace(plan, notes=()))


def test_what_the_device_gets_wrong_here_is_said_beside_a_plan_too(small, tmp_path):
    wrong = fake_backends(FakeBackend(faults=Faults(channels_last=True)))
    plan = prepare(small(), wrong).plan
    assert plan.notes[0].startswith("fp32 channels_last failed its test on cuda:0 (")
    save_plan(replace(plan, notes=()), tmp_path / "plan.yaml")
    assert prepare(small(plan=tmp_path / "plan.yaml"), wrong).plan.notes == plan.notes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"image_size": 64}, "image_size 32 and --image-size says 64"),
        ({"batch_size": 4}, "batch 6 and --batch-size says 4"),
        ({"learning_rate": 0.1}, "learning_rate 0.01 and --learning-rate says 0.1"),
    ],
)
def test_with_other_words_it_is_refused(filed, words, said):
    with pytest.raises(ConfigError, match=said):
        filed(**words)


def test_a_size_of_judging_that_the_network_refuses_is_refused_beside_a_plan_too(filed):
    with pytest.raises(ModelError, match="--eval-size is 16"):
        filed(eval_size=16)


@pytest.mark.parametrize(
    ("decision", "value", "said"),
    [
        ("batch", 64, "batch 64 is over the 21 training images"),
        ("image_size", 16, "test_resnet can't take the plan's image_size 16: set it to "),
    ],
)
def test_what_images_or_network_do_not_allow_is_refused_at_once(
    filed, tmp_path, decision, value, said
):
    plan = load_plan(tmp_path / "plan.yaml")
    micro = replace(plan.micro_batch, value=value)
    others = {"micro_batch": micro} if decision == "batch" else {}
    changed = replace(plan, **{decision: replace(plan.choices()[decision], value=value)}, **others)
    save_plan(changed, tmp_path / "plan.yaml")
    with pytest.raises(PlanError, match=said):
        filed(batch_size=None, learning_rate=None, image_size=None)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("source", ["measured", "rule", "user"])
def test_judging_has_the_files_threads_too(filed, tmp_path, source):
    plan = load_plan(tmp_path / "plan.yaml")
    none = replace(plan.workers, value=0, source=source)
    save_plan(replace(plan, workers=none), tmp_path / "plan.yaml")
    assert decoding_of(filed(), torch.device("cpu")).workers == 0


def test_a_run_is_repeated_by_its_own_files(small):
    session = begin(prepared_fully(small(device="cpu", batch_size=8, accumulate=False)))
    again = TrainConfig(**{**load_config(session.run.config), "plan": session.run.plan})
    assert prepared_fully(again).plan == obeyed(session.plan)


def test_validation_decodes_with_all_cores_but_one(begun, monkeypatch):
    monkeypatch.setattr(loaders, "usable_cores", lambda: Limit(value=8, source="a test"))
    session = begun(FakeBackend())
    assert session.val_loader._loading.workers == 7
    assert session.train_loader.loading.workers == session.plan.workers.value < 7
