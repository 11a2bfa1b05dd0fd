"""The mean with the mirror image's logits."""

import pytest
import torch

from lacewing.models.build import build_model
from lacewing.models.bundle import load_model, restore_model, save_model
from lacewing.models.catalog import find_model
from lacewing.models.mirrored import Mirrored, both_ways


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_model(find_model("test_resnet"), 5, 0.25, None, 64).eval()


@torch.no_grad()
def test_it_is_the_mean_of_two_passes(network):
    images = torch.randn(3, 3, 64, 64)
    seen = both_ways(network, images)
    assert seen.shape == (3, 2, 5)
    torch.testing.assert_close(seen[:, 0], network(images))
    torch.testing.assert_close(seen[:, 1], network(images.flip(3)))
    found = Mirrored(network)(images)
    torch.testing.assert_close(found, (network(images) + network(images.flip(3))) / 2)
    torch.testing.assert_close(found, Mirrored(network)(images.flip(3)))


def test_the_file_says_it_and_holds_the_weights_of_one_pass(network, tmp_path, bundle_fields):
    file = tmp_path / "m.safetensors"
    save_model(file, network.state_dict(), {**bundle_fields(), "mirror": True})
    bundle = load_model(file)
    assert bundle.state.keys() == network.state_dict().keys()
    restored, images = restore_model(bundle), torch.randn(2, 3, 64, 64)
    assert not restored.training
    with torch.no_grad():
        assert torch.equal(restored(images), Mirrored(network)(images))


def test_a_file_that_says_nothing_of_it_is_read_as_one_pass(network, tmp_path, bundle_fields):
    file = tmp_path / "m.safetensors"
    save_model(file, network.state_dict(), bundle_fields())
    assert "mirror" not in bundle_fields()
    assert not load_model(file).mirror
    assert isinstance(restore_model(load_model(file)), type(network))
