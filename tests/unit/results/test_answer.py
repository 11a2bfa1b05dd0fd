"""The report's first figures, each with how sure it is."""

from dataclasses import replace

import pytest

from lacewing.results.answer import TILES, facts, state, tiles, verdict
from lacewing.results.calibration import sentences
from lacewing.results.intervals import with_interval
from lacewing.results.pieces import read_pieces
from lacewing.store.run import append_line

CLASSES = [f"class {label}" for label in range(8)]


@pytest.fixture
def pieces(make_run):
    return read_pieces(make_run(CLASSES))


def test_every_figure_has_its_interval(pieces):
    shown = {name: (value, about) for name, value, about in tiles(pieces)}
    assert len(shown) == len(TILES)
    for value, about in shown.values():
        low, high = about.partition("; 95%: ")[2].split(" to ")
        assert float(low.strip("%")) <= float(value.strip("%")) <= float(high.strip("%"))
    low, high = pieces.figures["loss_interval"]
    assert shown["Loss"][1].endswith(f"95%: {low:.3f} to {high:.3f}")


def test_what_an_older_version_judged_is_shown_without(pieces):
    def older(figures):
        kept = ("top1_interval", "f1_interval")
        return {
            name: value
            for name, value in figures.items()
            if name in kept or not name.endswith("_interval")
        }

    splits = {name: older(figures) for name, figures in pieces.results["splits"].items()}
    old = replace(pieces, results={**pieces.results, "splits": splits})
    shown = {name: about for name, _, about in tiles(old)}
    assert "95%" in shown["Macro F1"]
    assert shown["Loss"] == "cross-entropy, nats per image"


def test_an_interval_is_said_beside_its_figure():
    assert with_interval(0.9, (0.87, 0.93)) == "90.0% (87.0 to 93.0)"
    assert with_interval(0.9, (0.87, 0.93), "about ") == "90.0% (about 87.0 to 93.0)"


def test_a_calibration_that_the_folds_gave_is_called_so(pieces):
    taken = {"tau": 0.0, "temperature": 1.25, "folds": 5}
    found = replace(pieces, results={**pieces.results, "recipe": {"polish": taken}})
    said = " ".join(sentences(found, []))
    assert "divided the scores by 1.25, the middle one of what 5 folds" in said


@pytest.mark.parametrize(("fold", "words"), [(0, "the middle one of the bounds"), (1, "reach it")])
def test_where_the_bound_of_doubt_comes_from_is_said(pieces, fold, words):
    config = {**pieces.config, "fold": fold}
    found = replace(pieces, config=config, results={**pieces.results, "none_below": 0.4})
    assert words in " ".join(sentences(found, []))


def test_scores_that_calibration_left_alone_are_said_to_be_so(pieces):
    found = replace(pieces, results={**pieces.results, "recipe": {"polish": {"temperature": 1.0}}})
    assert "Calibration left the scores as they are" in " ".join(sentences(found, []))


def test_the_head_on_frozen_features_is_no_epoch(pieces):
    rows = [{**row, "epoch": epoch} for epoch, row in enumerate(pieces.epochs[:3])]
    found = replace(pieces, epochs=rows, results={})
    assert state(found) == "This run is not finished: 2 of 20 epochs are done."
    assert "for 2 of 20 epochs" in dict(facts(found))["Training"]


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_run_without_images_to_judge_it_by_says_so(make_run, epoch):
    run = make_run(CLASSES, "planned")
    row = {"epoch": epoch, "train_loss": 1.0, "train_accuracy": 0.5}
    append_line(run.metrics, {**row, "val_loss": None, "val_accuracy": None, "best": True})
    found = verdict(read_pieces(run))
    assert found == "There were no images to judge it by, so nothing is known of how good it is."
