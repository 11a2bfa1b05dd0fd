"""Runs that start from a file of weights, as a pretrained network does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lacewing.config import TrainConfig
from lacewing.hardware.backends import BACKENDS
from lacewing.models.build import build_model
from lacewing.models.catalog import find_model
from lacewing.training.begin import begin
from lacewing.training.recipe.prepare import (
    with_gentle_rate,
    with_norms_decided,
    with_recipe_decided,
)
from lacewing.training.session import Session
from lacewing.training.setup import prepare


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network whose random features tell the tints apart."""
    file = tmp_path_factory.mktemp("weights") / "w.safetensors"
    torch.manual_seed(0)
    model = build_model(find_model("test_resnet"), 1000, 0.0, None, 64)
    save_file(model.state_dict(), file)
    return file


@pytest.fixture
def recipe_session(small, weights_file) -> Callable[..., Session]:
    """`recipe_session(recipe="features")`: a session that a recipe will carry out."""

    def start(**fields) -> Session:
        usual = {"weights": weights_file, "learning_rate": None, "epochs": TrainConfig().epochs,
                 "trial": False}  # fmt: skip
        config = small(device="cpu", **{**usual, **fields})
        decided = with_gentle_rate(with_recipe_decided(prepare(config), BACKENDS))
        return begin(with_norms_decided(decided), BACKENDS)

    return start
