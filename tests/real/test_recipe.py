"""The recipe on real photos: what it must reach where the photos are at hand."""

from pathlib import Path

import pytest

import lacewing
from lacewing.store.run import read_json

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "agri_pests12"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"there are no photos in {PHOTOS}"),
]


def trained(tmp_path, **fields):
    return lacewing.train(
        data=str(PHOTOS), model="efficientnet_lite0", output=tmp_path, tensorboard=False, **fields
    )


def test_a_head_on_frozen_features_names_five_of_six(tmp_path):
    """A third of the photos, and small ones, to be short; benchmarks/features.py has all."""
    run = trained(tmp_path, recipe="features", image_size=192, tta="off", sample=0.34)
    assert run.accuracy >= 0.83
    polished = read_json(run.folder / "results.json")["recipe"]["polish"]
    assert polished["loss_after"] <= polished["loss_before"]


def test_a_budget_of_a_minute_makes_a_usable_model(tmp_path):
    """Beside other tests a minute is short, and the images are made small for it. Neither time
    nor the best accuracy is judged here: benchmarks/budget.py does that, on a quiet machine."""
    assert trained(tmp_path, budget="1m").accuracy >= 0.75


def test_two_classic_epochs_name_six_of_ten(tmp_path):
    """A third of the photos, to be short; benchmarks/ablation.py has the better ones."""
    run = trained(tmp_path, epochs=2, image_size=96, sample=0.34, plan_budget=5.0)
    assert run.accuracy >= 0.60
