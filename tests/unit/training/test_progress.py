"""progress.json, for whoever watches."""

import shutil

from lacewing.store.run import read_json
from lacewing.training.progress import show_watchers


def test_the_running_epochs_steps_are_written(begun):
    session = begun(epochs=2)
    session.progress.epoch, session.progress.step_in_epoch = 1, 2
    show_watchers(session, "loss 0.5")
    steps = session.train_loader.steps_per_epoch
    expected = {"epoch": 2, "step": 2, "steps": steps, "words": "loss 0.5"}
    assert read_json(session.run.progress) == expected
    session.progress.step_in_epoch = 3
    show_watchers(session, "loss 0.4")
    assert read_json(session.run.progress)["step"] == 3
    assert not list(session.run.folder.glob("*.tmp"))


def test_a_folder_that_is_gone_costs_nothing(begun):
    session = begun(epochs=2)
    shutil.rmtree(session.run.folder)
    show_watchers(session, "loss 0.5")
    assert not session.run.folder.exists()
