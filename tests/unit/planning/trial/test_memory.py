"""The memory model: a line, how far it goes, and what is counted before anything runs."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from lacewing.engine.losses import make_loss
from lacewing.hardware.switches import autocast
from lacewing.models.build import new_model
from lacewing.models.catalog import find_model
from lacewing.planning.trial.memory import (
    MemoryModel,
    counted,
    fit,
    measure_growing,
    saved_by_shapes,
    saved_bytes,
)


def test_a_line_through_exact_points_is_found_again():
    model = fit({2: 120, 4: 140, 8: 180})
    assert (model.fixed_bytes, model.image_bytes) == pytest.approx((100, 10))
    assert model.bytes_for(16) == 260
    assert model.largest(265) == 16
    assert model.largest(99) == 0
    assert model.points == ((2, 120), (4, 140), (8, 180))


def test_holes_between_tensors_take_their_share():
    model = replace(fit({2: 120, 4: 140}), eval_image_bytes=4.0).times(1.5)
    assert model.bytes_for(4) == 210
    assert model.eval_bytes_for(10) == 210
    assert model.points == ((2, 120), (4, 140)), "what was measured"


def test_one_point_needs_a_slope():
    model = fit({8: 180}, slope=10)
    assert model.bytes_for(16) == 260
    assert fit({8: 180}).bytes_for(16) == 180


def test_a_falling_line_is_noise():
    model = fit({2: 120, 4: 110})
    assert (model.fixed_bytes, model.image_bytes) == (120, 0)
    assert model.largest(100) == 0
    assert model.largest(130) > 1000


def test_no_size_is_tried_that_is_expected_to_be_too_much():
    tried = []

    def peak_of(size):
        tried.append(size)
        return 100 + 10 * size

    points = measure_growing((16, 2, 4, 64), peak_of, allowed=300)
    assert tried == [2, 4, 16]
    assert points == {2: 120, 4: 140, 16: 260}


def test_a_full_memory_ends_the_measuring():
    points = measure_growing((2, 4, 8), lambda size: 100 if size < 4 else None, allowed=None)
    assert points == {2: 100}


def test_what_a_pass_keeps_is_counted_to_the_byte():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5, bias=False), nn.Tanh())
    images, labels = torch.rand(3, 3, 2, 2), torch.tensor([0, 1, 2])
    saved = saved_bytes(network, images, labels, make_loss(), nullcontext)
    # the linear layer keeps its input, tanh its output, the loss log-probabilities, labels and
    # its total weight
    assert saved == 3 * 12 * 4 + 3 * 5 * 4 + 3 * 5 * 4 + 3 * 8 + 4


def test_weights_that_autocast_copies_are_not_counted_for_each_image():
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 64))
    network.append(nn.Linear(64, 3))
    images, labels = torch.rand(4, 3, 4, 4), torch.tensor([0, 1, 2, 0])

    def saved(count):
        half = partial(torch.autocast, "cpu", dtype=torch.bfloat16)
        return saved_bytes(network, images[:count], labels[:count], make_loss(), half)

    # all but the loss's total weight
    assert saved(4) - 4 == 2 * (saved(2) - 4)


def test_images_that_are_a_part_of_more_count_as_what_they_are():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    images, labels = torch.rand(8, 3, 4, 4), torch.arange(8) % 3
    alone = saved_bytes(network, images[:2].clone(), labels[:2].clone(), make_loss(), nullcontext)
    assert saved_bytes(network, images[:2], labels[:2], make_loss(), nullcontext) == alone


def test_what_is_counted_grows_with_the_images():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    network.append(nn.Linear(8 * 14 * 14, 3))
    images, labels = torch.rand(4, 3, 16, 16), torch.arange(4) % 3
    model = counted(network, images, labels, make_loss(), nullcontext)
    weights = sum(w.numel() for w in network.parameters()) * 4
    assert model.fixed_bytes == 4 * weights
    assert model.image_bytes > 2 * 8 * 14 * 14 * 4
    assert isinstance(model, MemoryModel)


def test_a_forward_only_pass_has_a_line_of_its_own():
    model = MemoryModel(fixed_bytes=100, image_bytes=10, eval_image_bytes=2)
    assert model.eval_bytes_for(16) == 132
    assert model.largest_eval(132) == 16
    assert model.largest_eval(99) == 0
    assert replace(model, eval_image_bytes=0.0).largest_eval(100) > 10**6


def test_what_is_counted_leaves_norms_that_are_frozen_alone():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten())
    network[1].eval()
    labels = torch.tensor([0, 1])
    assert saved_bytes(network, torch.rand(2, 3, 8, 8), labels, make_loss(), nullcontext) > 0
    assert not network[1].training
    assert network[1].num_batches_tracked == 0


@pytest.mark.parametrize(("precision", "within"), [("fp32", 0.0), ("bf16", 0.005)])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet"])
def test_shapes_alone_tell_what_a_pass_keeps(name, precision, within):
    """In bf16 a CPU keeps some of BatchNorm's figures in fp32 that shapes say are in bf16."""
    info = find_model(name)
    network = new_model(info, 3, 0.0, info.native_size).train()
    images, labels = torch.rand(4, 3, info.native_size, info.native_size), torch.tensor([0, 1])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    args = (network, images[:2], labels, make_loss(0.1), lambda: autocast("cpu", precision))
    by_shapes = saved_by_shapes(*args)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert by_shapes == pytest.approx(saved_bytes(*args), rel=within)


def test_shapes_know_a_network_of_any_size_without_its_memory():
    """A pass of it would take 100 TB."""
    images = torch.zeros(1).expand(2, 3, 2**20, 2**20)
    labels = torch.tensor([0, 1])
    saved = saved_by_shapes(
        nn.Conv2d(3, 8, 1), images, labels, lambda logits, _: logits.sum(), nullcontext
    )
    assert saved == 2 * 3 * 2**40 * 4


def test_on_a_cpu_an_image_takes_more_than_it_leaves_for_the_backward_pass():
    """Where nothing could be weighed, or passes of a single size."""
    line = MemoryModel(fixed_bytes=1000.0, image_bytes=10.0).on_cpu()
    assert (line.fixed_bytes, line.image_bytes) == (1000.0, 13.0)
