"""Weights' caches of the test's own, and no network."""

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from lacewing.data.preprocess import Preprocessing
from lacewing.models.networks import original_network


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches of the hub and of torch, and the hub told to stay offline."""
    hub, checkpoints = tmp_path / "hub", tmp_path / "torch" / "checkpoints"
    hub.mkdir()
    checkpoints.mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(checkpoints.parent))
    return hub, checkpoints


@pytest.fixture
def in_hub_cache(caches):
    """Put a state into the hub's cache as the hub's client lays it out; the file's path."""

    def put(repository, state):
        folder = caches[0] / f"models--{repository.replace('/', '--')}"
        snapshot = folder / "snapshots" / "0123abcd"
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("0123abcd")
        save_file(state, snapshot / "model.safetensors")
        return snapshot / "model.safetensors"

    return put


@pytest.fixture
def random_state():
    """A state with the shapes of an architecture's original network."""

    def make(library, architecture, dtype=torch.float32):
        generator = torch.Generator().manual_seed(7)
        return {
            name: torch.rand(value.shape, generator=generator).to(
                dtype if value.is_floating_point() else value.dtype
            )
            for name, value in original_network(library, architecture).state_dict().items()
        }

    return make


@pytest.fixture
def bundle_fields():
    """What stands beside the weights of a trained model of five classes."""

    def make(model="test_resnet", image_size=64):
        preprocessing = Preprocessing(image_size=image_size, mean=(0.1,) * 3, std=(0.2,) * 3)
        return {
            "model": model,
            "classes": ["aphid", "borer", "cicada", "drosophila", "earwig"],
            "class_ids": [3, 1, 4, 15, 92],
            "dropout": 0.25,
            "preprocessing": preprocessing.as_dict(),
            "figures": {"val_accuracy": 0.5},
        }

    return make
