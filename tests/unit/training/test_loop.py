"""The loop: what it writes, when it stops, what it keeps."""

import json

from lacewing.models.bundle import load_model
from lacewing.store.run import read_lines
from lacewing.training import bookkeeping
from lacewing.training.loop import train


def rows(session):
    return list(read_lines(session.run.metrics))


def test_a_run_writes_its_row_model_and_checkpoint(begun):
    session = begun(epochs=2)
    ending = train(session)
    assert ending.finished
    assert [row["epoch"] for row in rows(session)] == [1, 2]
    assert session.run.model.is_file()
    assert session.run.last.read_text().strip() == f"step-{session.progress.step:08d}"
    assert {"train_loss", "val_accuracy", "images_per_second", "wait_seconds"} <= set(
        rows(session)[0]
    )


def test_the_kept_model_is_the_best_epochs(begun):
    session = begun(epochs=4)
    train(session)
    best = max(rows(session), key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert session.progress.best_epoch == best["epoch"]
    assert load_model(session.run.model).figures["epoch"] == best["epoch"]
    assert [row["epoch"] for row in rows(session) if row["best"]][-1] == best["epoch"]


def test_it_stops_early_without_gain(begun, monkeypatch):
    monkeypatch.setattr(bookkeeping, "is_better", lambda row, progress: row["epoch"] == 1)
    session = begun(epochs=9, patience=2)
    ending = train(session)
    assert ending.reason == "no gain in 2 epochs"
    assert session.progress.epoch == 3
    assert session.progress.best_epoch == 1


def test_a_limit_ends_the_run_with_the_schedule_as_planned(begun):
    short, whole = begun(epochs=4, limit_epochs=1, name="a"), begun(epochs=4, name="b")
    train(short)
    train(whole)
    assert len(rows(short)) == 1
    same = ("train_loss", "learning_rate", "val_loss")
    assert all(rows(short)[0][key] == rows(whole)[0][key] for key in same)


def test_without_validation_the_newest_weights_are_the_best(begun, tmp_path, tinted):
    for name in ("aphid", "moth"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        tinted(name, 0).save(tmp_path / "photos" / name / "0.png")  # the only one is to train on
    session = begun(data=str(tmp_path / "photos"), epochs=2)
    train(session)
    assert session.progress.best_epoch == 2
    assert rows(session)[0]["val_accuracy"] is None


def test_nothing_is_saved_where_nothing_is_asked_for(begun):
    session = begun(epochs=1, save_checkpoints=False, save_model=False)
    train(session)
    assert not session.run.model.exists()
    assert not session.run.checkpoints.exists()
    assert session.best_weights is not None


def test_what_was_decided_is_in_the_folder(begun):
    session = begun(epochs=1)
    run = session.run
    assert all(p.is_file() for p in (run.config, run.machine, run.dataset, run.index, run.plan))
    assert json.loads(run.machine.read_text())["devices"][-1]["kind"] == "cpu"
