"""The trial between plan and run: measured once, remembered, and without a trace in the run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lacewing.config import TrainConfig
from lacewing.data.chance import order
from lacewing.data.pixels import kept_bytes
from lacewing.errors import ConfigError, DeviceLostError, ModelError
from lacewing.hardware.fake import FakeBackend, Faults, fake_backends
from lacewing.hardware.ranks import Ranks
from lacewing.models.build import preprocessing_for
from lacewing.planning.document import forecast_rows, load_plan, save_plan
from lacewing.planning.processes import with_processes
from lacewing.planning.trial import measure as measuring
from lacewing.planning.trial.context import TrialError
from lacewing.results.finish import finish
from lacewing.store.run import read_lines
from lacewing.training import trial
from lacewing.training.begin import begin
from lacewing.training.loop import train
from lacewing.training.setup import job_of, obeyed, prepare
from lacewing.training.trial import amounts_of, with_trial
from lacewing.values import Choice

WORDS = {"threads": 1, "trial": True}


@pytest.fixture
def tried(small):
    """`tried(fake)`: prepared and measured on a fake GPU."""

    def make(fake, **words):
        backends = fake_backends(fake)
        return with_trial(prepare(small(**{**WORDS, **words}), backends), backends)

    return make


def test_the_second_plan_is_remembered_and_the_same(tried, monkeypatch):
    first = tried(FakeBackend()).plan
    monkeypatch.setattr(trial, "measure", None)  # must not be called
    second = tried(FakeBackend()).plan
    assert second.measured == replace(first.measured, remembered=True)
    chosen = [name for name, c in first.choices().items() if c.source == "measured"]
    assert {"precision", "memory_format", "eval_precision"} <= set(chosen)
    assert all(second.choices()[name] == first.choices()[name] for name in chosen)
    assert dict(forecast_rows(second.measured))["the trial"].startswith("remembered")


def test_what_a_short_look_found_does_not_stand_for_a_long_one(tried, monkeypatch):
    tried(FakeBackend(), plan_budget=10.0)
    with monkeypatch.context() as patch:
        patch.setattr(trial, "measure", None)  # must not be called
        assert tried(FakeBackend(), plan_budget=20.0).plan.measured.remembered
        assert tried(FakeBackend(), plan_budget=1.0).plan.measured.remembered
    assert not tried(FakeBackend(), plan_budget=60.0).plan.measured.remembered
    assert tried(FakeBackend(), plan_budget=60.0).plan.measured.remembered


def test_the_trial_knows_how_many_processes_share_the_run(small, monkeypatch):
    told, backends = [], fake_backends(FakeBackend())

    def measure(*_, processes):
        told.append(processes)
        raise TrialError("it is only asked")

    monkeypatch.setattr(trial, "measure", measure)
    prepared = prepare(small(**WORDS), backends)
    with_trial(replace(prepared, processes=3), backends)
    assert told == [3]


@pytest.mark.parametrize("words", [{"trial": False}, {"recipe": "features"}])
def test_where_nothing_is_to_be_measured_the_rules_stand(tried, monkeypatch, words):
    monkeypatch.setattr(trial, "measure", None)
    assert tried(FakeBackend(), **words).plan.measured is None


def test_a_plan_from_a_file_is_obeyed_and_not_measured(tried, monkeypatch, tmp_path):
    plan = tried(FakeBackend()).plan
    save_plan(plan, tmp_path / "plan.yaml")
    monkeypatch.setattr(trial, "measure", None)
    by_it = tried(FakeBackend(), plan=tmp_path / "plan.yaml").plan
    assert by_it == obeyed(replace(plan, measured=replace(plan.measured, remembered=True)))


def test_a_plan_files_forecast_is_of_the_same_work_alone(tried, tmp_path):
    """Words that the file settles may be left out; what is another's is left out and that said."""
    file = tmp_path / "plan.yaml"
    plan = tried(FakeBackend()).plan
    save_plan(plan, file)
    free = {"batch_size": None, "learning_rate": None, "image_size": None, "threads": None}
    by_it = tried(FakeBackend(), plan=file, **free).plan
    assert by_it.measured.forecast == plan.measured.forecast
    assert by_it.notes == plan.notes
    left_out(tried(FakeBackend(), plan=file, epochs=3).plan)
    left_out(tried(FakeBackend(), plan=file, dropout=0.5).plan)
    left_out(tried(FakeBackend(devices=["Another GPU"]), plan=file).plan)
    halved = replace(plan.micro_batch, value=3), replace(plan.accumulation, value=2)
    save_plan(replace(plan, micro_batch=halved[0], accumulation=halved[1]), file)
    left_out(tried(FakeBackend(), plan=file).plan)
    save_plan(plan, file)
    text = file.read_text()
    file.write_text(text.replace(f"  work: {plan.measured.work}\n", ""))
    assert load_plan(file).measured.work == ""  # as in files of older versions
    left_out(tried(FakeBackend(), plan=file).plan)


def left_out(plan):
    """Check that there is no forecast, and one note that says so."""
    assert plan.measured is None
    assert [note.startswith("The forecast in ") for note in plan.notes].count(True) == 1


def test_several_processes_keep_the_forecast_of_the_plan_that_they_wrote(small, tmp_path):
    backends = fake_backends(FakeBackend())

    def dealt(**words):
        prepared = replace(prepare(small(**{**WORDS, **words}), backends), processes=2)
        tried = with_trial(prepared, backends)
        return with_processes(tried.plan, tried.config, Ranks(world=2, local_world=2))

    plan = dealt(freeze_norms=True)
    assert plan.micro_batch.value == 3
    save_plan(plan, tmp_path / "plan.yaml")
    again = dealt(freeze_norms=True, plan=tmp_path / "plan.yaml")
    assert again.measured.forecast == plan.measured.forecast


def test_what_was_measured_survives_the_plans_file(tried, tmp_path):
    plan = tried(FakeBackend()).plan
    assert plan.measured.candidates
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml").measured == plan.measured


def test_a_trial_that_could_measure_nothing_leaves_the_rules_and_a_note(small):
    fake = FakeBackend()
    backends = fake_backends(fake)
    prepared = prepare(small(**WORDS), backends)
    fake.faults = Faults(precisions={"fp32": "no kernel for this", "bf16": "nor for this"})
    fake.precisions = ("tf32",)  # the device's own test passes in it
    plan = with_trial(prepared, backends).plan
    assert plan.measured is None
    assert "no kernel for this" in plan.notes[-1]
    assert plan.notes[-1].endswith("the rules' choices stand.")


@pytest.mark.parametrize(("batch", "broken"), [(8, 1), (8, 3), (2, 2)])
def test_images_that_broke_since_the_scan_are_passed_over(small, tmp_path, tinted, batch, broken):
    for number in range(60):
        folder = tmp_path / "photos" / ("val" if number % 3 == 2 else "train") / f"{number // 3}"
        folder.mkdir(parents=True, exist_ok=True)
        tinted("moth", number).save(folder / f"{number}.jpg")
    backends = fake_backends(FakeBackend())
    config = small(data=str(tmp_path / "photos"), batch_size=batch, **WORDS)
    prepared = prepare(config, backends)
    training = prepared.index.split("train")
    for row in order(config.seed, 0, len(training))[:broken]:
        Path(training.path(row)).write_bytes(b"no image")
    assert with_trial(prepared, backends).plan.measured is not None


def test_a_device_that_vanishes_in_a_race_ends_the_run_before_it_begins(small):
    with pytest.raises(DeviceLostError, match=r"cuda:0 stopped working .* use --device cpu\."):
        with_device_lost(small, at=1)


def test_so_does_one_that_vanishes_while_the_memory_is_weighed(small, monkeypatch):
    """Its error is no reason why a way is out: it comes from the steps between the races."""
    weigh = measuring.weigh_memory
    fakes = []

    def lost_now(trial, *rest):
        fakes.append(trial.bench.backend)
        trial.bench.backend.faults = Faults(lost_at=trial.bench.backend.forward_calls + 2)
        return weigh(trial, *rest)

    monkeypatch.setattr(measuring, "weigh_memory", lost_now)
    with pytest.raises(DeviceLostError, match=r"cuda:0 stopped working"):
        with_device_lost(small, at=None)
    assert fakes


def with_device_lost(small, at):
    fake = FakeBackend()
    backends = fake_backends(fake)
    prepared = prepare(small(**WORDS), backends)
    fake.faults = Faults(lost_at=at)
    return with_trial(prepared, backends)


def test_the_run_is_the_same_with_and_without_the_trial(small, tmp_path):
    """Same choices given, the weights are equal to the bit: no generator was touched."""
    weights = []
    for name, is_on in (("with", True), ("without", False)):
        backends = fake_backends(FakeBackend())
        words = {"precision": "fp32", "memory_format": "contiguous", "dropout": 0.2, "epochs": 1}
        config = small(**{**WORDS, **words, "trial": is_on, "name": name})
        prepared = with_trial(prepare(config, backends), backends)
        plan = replace(prepared.plan, optimizer_kernel=replace(
            prepared.plan.optimizer_kernel, value="plain"))  # fmt: skip
        session = begin(replace(prepared, plan=plan), backends)
        train(session)
        weights.append(torch.cat([w.flatten() for w in session.model.state_dict().values()]))
    assert torch.equal(*weights)


def test_the_forecast_is_recorded_and_held_against_the_outcome(tried):
    fake = FakeBackend()
    backends = fake_backends(fake)
    session = begin(tried(fake), backends)
    event = next(e for e in read_lines(session.run.events) if e["kind"] == "forecast")
    assert event["epochs"] == 2
    assert event["run_seconds"] > 0
    finish(session, train(session))
    training = json.loads(session.run.results.read_text())["training"]
    expected = event["first_epoch_seconds"] + event["epoch_seconds"]
    assert training["forecast_seconds"] == pytest.approx(expected)
    assert training["epochs_seconds"] > 0
    assert "expected for the epochs" in session.run.report.read_text()


def test_of_a_recipe_no_seconds_of_epochs_are_forecast(small, tmp_path):
    """It decides them later: not on the screen, nor in the run, nor by an older plan's file."""
    backends = fake_backends(FakeBackend())
    prepared = with_trial(prepare(small(**{**WORDS, "recipe": "finetune"}), backends), backends)
    assert list(prepared.plan.measured.forecast) == ["peak_bytes"]
    session = begin(prepared, backends)
    event = next(e for e in read_lines(session.run.events) if e["kind"] == "forecast")
    assert event["peak_bytes"] > 0
    assert not {"epochs", "epoch_seconds", "run_seconds", "judge_seconds"} & event.keys()
    assert "the run:" not in event["message"]
    recorded = load_plan(session.run.plan).measured
    assert recorded.forecast == prepared.plan.measured.forecast
    older = {**recorded.forecast, "epochs": 2.0, "run_seconds": 9.0}
    with_times = replace(prepared.plan, measured=replace(recorded, forecast=older))
    config = replace(prepared.config, plan=tmp_path / "plan.yaml")
    by_it = with_trial(replace(prepared, config=config, plan=with_times), backends)
    assert by_it.plan.measured.forecast == recorded.forecast


def test_a_measured_size_needs_the_trial():
    with pytest.raises(ConfigError, match="--batch-size auto is measured"):
        TrainConfig(batch_size="auto", trial=False)
    assert TrainConfig(batch_size="AUTO").batch_size == "auto"
    assert TrainConfig(batch_size="none").batch_size is None


def test_amounts_are_of_all_images_whoever_shares_them(small):
    prepared = prepare(small(**WORDS), fake_backends(FakeBackend()))
    amounts = amounts_of(replace(prepared, processes=5))
    assert (amounts.training, amounts.validation, amounts.test) == (21, 15, 3)
    assert amounts.processes == 5
    assert (amounts.judges, amounts.eval_share) == (True, 1.0)


def test_images_of_training_alone_count_where_a_device_keeps_them(small):
    prepared = prepare(small(**WORDS), fake_backends(FakeBackend()))
    job, index = job_of(prepared.config, prepared.info, None, prepared.index), prepared.index
    side = preprocessing_for(prepared.info, 32, None).resize_size
    train, val = (kept_bytes(index.split(name), side) for name in ("train", "val"))
    assert (job.device_bytes(32), job.cache_bytes(32)) == (train, train + val)


def test_a_network_built_for_one_size_is_trained_at_that_of_judging(small):
    plan = prepare(small(model="test_vit", image_size=None, eval_size=64)).plan
    assert plan.image_size.value == 64
    with pytest.raises(ModelError, match="test_vit is built for images of one size"):
        prepare(small(model="test_vit", image_size=32, eval_size=64))


def test_amounts_go_by_what_is_judged_and_at_which_size(small):
    prepared = prepare(small(image_size=32, eval_size=64, evaluate=False))
    amounts = amounts_of(prepared)
    assert (amounts.judges, amounts.eval_share) == (False, 4.0)


def test_what_a_run_left_on_the_disk_is_not_forecast_to_be_decoded(small, monkeypatch):
    """Of 21 images an epoch takes three whole batches of six."""
    told, backends = [], fake_backends(FakeBackend())

    def refine(plan, findings, asked, **_):
        told.append(asked.amounts.undecoded)
        return plan

    monkeypatch.setattr(trial, "refine", refine)
    in_ram = prepare(small(**WORDS, epochs=1, eval_size=64), backends)
    on_disk = replace(in_ram, plan=replace(in_ram.plan, pixels=Choice("disk", "", "user")))
    with_trial(on_disk, backends)
    train(begin(on_disk, backends))
    with_trial(on_disk, backends)
    with_trial(in_ram, backends)
    assert told == [(1.0, 1.0), (3 / 21, 0.0), (1.0, 1.0)]
