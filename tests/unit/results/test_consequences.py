"""What follows from a run's figures."""

import numpy as np
import pytest

from lacewing.models.bundle import load_model
from lacewing.results.consequences import note_doubt, take_doubt
from lacewing.results.evaluate import Judged
from lacewing.results.metrics import figures
from lacewing.store.run import read_json, write_json


@pytest.fixture
def judged(tint_index):
    """100 rows, 80 of them right with a rising confidence."""
    index = tint_index.take(np.arange(100) % len(tint_index))
    labels = index.column("label").astype(np.int64)
    answers = np.where(np.arange(100) < 80, labels, (labels + 1) % 3)
    sure = np.linspace(0.4, 0.99, 100, dtype=np.float32)
    chances = np.repeat((1 - sure[:, None]) / 2, 3, axis=1)
    chances[np.arange(100), answers] = sure
    return Judged(index, chances, figures(chances, labels, index.classes), seconds=1.0)


def test_the_bound_of_doubt_stands_beside_the_weights(copied_run, judged):
    before = load_model(copied_run.model)
    note_doubt(copied_run, judged)
    after = load_model(copied_run.model)
    assert after.none_below == read_json(copied_run.results)["none_below"]
    right = judged.probabilities[:80].max(axis=1)
    assert (right >= after.none_below).sum() in (76, 77)
    assert after.state.keys() == before.state.keys()


def test_a_run_that_kept_no_model_still_tells_the_bound(copied_run, judged):
    copied_run.model.unlink()
    note_doubt(copied_run, judged)
    assert read_json(copied_run.results)["none_below"] > 0.4
    assert not copied_run.model.exists()


@pytest.mark.parametrize("bounds", [(0.2, 0.3, 0.7), ()])
def test_the_last_run_of_folds_takes_their_bound(copied_run, bounds):
    rows = [{"none_below": bound} for bound in bounds]
    write_json(copied_run.folder.parent / "folds.json", {"folds": rows})
    expected = 0.3 if bounds else None
    take_doubt(copied_run)
    assert read_json(copied_run.results)["none_below"] == expected
    assert load_model(copied_run.model).none_below == expected
