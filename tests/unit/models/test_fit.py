"""What is loaded, what is left out, and how it is said."""

import pytest
import torch
from torch import nn

from lacewing.errors import WeightsError
from lacewing.models.build import build_model, describe_fit, new_model
from lacewing.models.catalog import find_model
from lacewing.models.fit import fit_state, load_into
from lacewing.models.networks import heads_of, parameter_names
from lacewing.models.weights import Weights, for_classes


@pytest.fixture(scope="module")
def tiny():
    return find_model("test_resnet")


@pytest.fixture
def state(tiny):
    torch.manual_seed(3)
    return build_model(tiny, 7, 0.0, None, 64).state_dict()


@pytest.fixture
def network(tiny):
    return lambda classes: build_model(tiny, classes, 0.0, None, 64)


def test_a_whole_state_is_loaded(tiny, network, state):
    model = network(7)
    total = len(state)
    assert load_into(model, tiny, Weights(state=state, source="F")) == (
        f"{total} of {total} tensors loaded from F"
    )
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_head_of_other_classes_is_left_out_said_and_zero(tiny, network, state):
    model = network(5)
    assert load_into(model, tiny, Weights(state=state, source="F")).endswith(
        "from F; the head for 7 classes was left out"
    )
    assert not model.fc.weight.any()
    assert not model.fc.bias.any()
    assert torch.equal(model.conv1[0].weight, state["conv1.0.weight"])


def named(state, *classes):
    return Weights(state=state, source="F", classes=classes)


def test_a_head_for_the_same_classes_in_another_order_is_put_in_order(tiny, network, state):
    known, wanted = tuple("abcdefg"), tuple("gfabcde")
    model = network(7)
    assert "head" not in load_into(model, tiny, for_classes(named(state, *known), wanted))
    for row, name in enumerate(wanted):
        assert torch.equal(model.fc.weight[row], state["fc.weight"][known.index(name)])
        assert torch.equal(model.fc.bias[row], state["fc.bias"][known.index(name)])


def test_both_heads_of_a_distilled_network_are_put_in_order():
    info = find_model("levit_128s")
    state = new_model(info, 3, 0.0, 224).state_dict()
    model = new_model(info, 3, 0.0, 224)
    load_into(model, info, for_classes(named(state, "a", "b", "c"), ["c", "a", "b"]))
    for head in ("head", "head_dist"):
        rows = state[f"{head}.linear.weight"][[2, 0, 1]]
        assert torch.equal(model.get_submodule(head).linear.weight, rows)
        assert torch.equal(model.get_submodule(head).bn.weight, state[f"{head}.bn.weight"])


@pytest.mark.parametrize("classes", [tuple("abcdefz"), ()])
def test_a_head_for_as_many_other_classes_is_left_out(tiny, network, state, classes):
    model = network(7)
    sentence = load_into(model, tiny, for_classes(named(state, *classes), tuple("abcdefg")))
    assert sentence.endswith("; the head for 7 other classes was left out")
    assert not model.fc.weight.any()


def test_a_head_whose_classes_are_not_known_is_loaded_by_their_number(tiny, network, state):
    model = network(7)
    load_into(model, tiny, for_classes(Weights(state=state, source="F"), tuple("abcdefg")))
    assert torch.equal(model.fc.weight, state["fc.weight"])


def test_half_a_head_is_none(network, state):
    del state["fc.bias"]
    fit = fit_state(network(7), state)
    assert fit.missing == ("fc.weight", "fc.bias")
    assert fit.dropped == ("fc.weight",)


def test_missing_and_foreign_tensors_are_named(tiny, network, state):
    for name in ("fc.weight", "fc.bias", "bn1.weight"):
        del state[name]
    state["ema.decay"] = torch.ones(1)
    sentence = load_into(network(7), tiny, Weights(state=state, source="F"))
    assert sentence.endswith(
        "; the head starts new; 1 start new (bn1.weight); 1 of the file have no place (ema.decay)"
    )


def test_another_networks_weights_are_refused(tiny, network):
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 7)).state_dict()
    with pytest.raises(WeightsError, match=r"F does not hold weights of test_resnet: only 0 of "):
        load_into(network(7), tiny, Weights(state=other, source="F"))


def test_a_transformers_positions_are_interpolated_to_the_new_size():
    info = find_model("vit_tiny_patch16_224")
    small = build_model(info, 5, 0.0, None, 64)
    with torch.no_grad():
        small.pos_embed.fill_(0.25)
    weights = Weights(state=small.state_dict(), source="F")
    large = build_model(info, 5, 0.0, weights, 96)
    assert large.pos_embed.shape[1] == 1 + 6 * 6
    torch.testing.assert_close(large.pos_embed, torch.full_like(large.pos_embed, 0.25))
    total = len(small.state_dict())
    assert describe_fit(info, 5, weights, 96) == f"{total} of {total} tensors loaded from F"


@pytest.mark.parametrize("name", ["levit_128s", "repvit_m0_9"])
def test_a_new_head_of_several_layers_answers_zero_and_learns(name):
    info = find_model(name)
    torch.manual_seed(0)
    weights = Weights(state=new_model(info, 1000, 0.0, 224).state_dict(), source="F")
    model = build_model(info, 3, 0.0, weights, 224).train()
    images, labels = torch.randn(4, 3, 224, 224), torch.tensor([0, 1, 2, 0])
    answers = model(images)
    assert not answers.any()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):  # the first moves the last layer only
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    heads = parameter_names(model, heads_of(model))
    moved = [p.grad.abs().sum() for n, p in model.named_parameters() if n not in heads]
    assert sum(moved) > 0
