"""Optimisers by name: what is found, how it is made, what is said."""

import pytest
import torch
from torch import nn

from lacewing.engine.optimizers import (
    OPTIMIZERS,
    TIMM_UNUSABLE,
    find_optimizer,
    make_optimizer,
    optimizer_advice,
    timm_names,
)
from lacewing.errors import ConfigError


def make(name, model, **options):
    return make_optimizer(
        find_optimizer(name), model, **{"learning_rate": 0.1, "weight_decay": 0.01, **options}
    )


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "adam"])
def test_classic_names_are_found_in_any_case(name):
    assert find_optimizer(name) is OPTIMIZERS[name.lower()]


def test_timms_are_found():
    info = find_optimizer("NAdamW")
    assert info.name == "nadamw" and info.from_timm and info.kernels == ()


@pytest.mark.parametrize(("name", "hint"), [("adamm", "adam"), ("sdg", "sgd")])
def test_a_misspelt_name_is_an_error_that_offers_others(name, hint):
    with pytest.raises(ConfigError, match=rf"'{name}'.*did you mean.*{hint}"):
        find_optimizer(name)


def test_an_unlike_name_is_an_error_that_offers_the_classics():
    with pytest.raises(ConfigError, match="use sgd, adam, adamw or rmsprop"):
        find_optimizer("xxxxxxxxx")


@pytest.mark.parametrize("name", ["bnbadam", "adahessian", "kronw", "lambc", "fusedlamb"])
def test_what_could_not_be_trained_with_is_not_offered(name):
    assert name not in timm_names()
    with pytest.raises(ConfigError):
        find_optimizer(name)


def test_every_exclusion_excludes_something():
    from timm import optim

    names = optim.list_optimizers()
    assert all(any(name.startswith(start) for name in names) for start in TIMM_UNUSABLE)


def test_rates_by_default():
    assert find_optimizer("adamw").default_learning_rate(pretrained=True) == 3e-4
    assert find_optimizer("adamw").default_learning_rate(pretrained=False) == 1e-3
    assert find_optimizer("sgdp").rates == find_optimizer("sgd").rates
    assert find_optimizer("rmsproptf").rates == find_optimizer("rmsprop").rates
    assert find_optimizer("adan").rates == find_optimizer("adam").rates
    assert find_optimizer("lion").default_learning_rate(True) < 3e-4


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sgd", torch.optim.SGD),
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("rmsprop", torch.optim.RMSprop),
    ],
)
def test_the_classics_are_torchs_own(name, kind):
    optimizer = make(name, nn.Linear(2, 2))
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.1 and group["weight_decay"] == 0.01
    assert len(group["params"]) == 2


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "sgdp"])
def test_momentum_is_passed_on(name):
    assert make(name, nn.Linear(2, 2), momentum=0.7).param_groups[0]["momentum"] == 0.7


def test_nesterov_is_passed_on():
    assert make("sgd", nn.Linear(2, 2), nesterov=True).param_groups[0]["nesterov"]
    assert not make("sgd", nn.Linear(2, 2)).param_groups[0]["nesterov"]


@pytest.mark.parametrize("info", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_kernels_are_said_outright(info):
    for kernel in ("plain", *info.kernels):
        (group,) = make(info.name, nn.Linear(2, 2), kernel=kernel).param_groups
        said = {name: group.get(name, False) for name in ("foreach", "fused")}
        assert said == {name: name == kernel for name in said}


@pytest.mark.parametrize("kernel", ["plain", "foreach", "fused"])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_first_step_that_the_loss_scaler_skips_leaves_nothing(name, kernel):
    """torch's fused SGD would go on with a momentum of whatever was in the memory."""
    model = nn.Linear(64, 64)
    nn.init.constant_(model.weight, 0.5)
    optimizer = make(name, model, kernel=kernel)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for gradient in (float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale((model.weight * gradient).sum() + model.bias.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    expected = nn.Linear(64, 64)
    nn.init.constant_(expected.weight, 0.5)
    alone = make(name, expected, kernel=kernel)
    (expected.weight.sum() + expected.bias.sum()).backward()
    alone.step()
    assert torch.allclose(model.weight, expected.weight)


@pytest.mark.parametrize("info", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_part_of_the_weights_may_begin_to_learn_later(info):
    found = {}
    for kernel in ("plain", *info.kernels):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        optimizer = make(info.name, model, kernel=kernel)
        for learns in (False, False, True, True):
            model[0].requires_grad_(learns)
            optimizer.zero_grad()
            model(torch.ones(4, 2)).sum().backward()
            optimizer.step()
        found[kernel] = torch.cat([p.detach().flatten() for p in model.parameters()])
    for values in found.values():
        torch.testing.assert_close(values, found["plain"])


@pytest.mark.parametrize("name", ["sgd", "nadamw"])
def test_norms_can_be_spared_the_decay(name, network):
    model = network()
    optimizer = make(name, model, decay_norms=False)
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    assert [decay[id(p)] for p in model.parameters()] == [
        0.01 if p.ndim > 1 else 0.0 for p in model.parameters()
    ]


def test_rates_of_their_own_are_the_groups_scales(network):
    model = network()
    names = [name for name, _ in model.named_parameters()]
    groups = make("adamw", model, rates={names[0]: 10.0, names[1]: 0.5}).param_groups
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    expected = [10.0, 0.5, *[1.0] * (len(names) - 2)]
    assert [scale[id(p)] for p in model.parameters()] == expected


def test_frozen_weights_are_left_out(network):
    model = network()
    model[0].requires_grad_(False)
    groups = make("sgd", model).param_groups
    assert sum(len(group["params"]) for group in groups) == 4


def test_coupled_decay_is_told_truly():
    """Adam's step on a large decayed weight has the rate's size; AdamW's follows the weight."""
    for name, coupled in [("adam", True), ("adamw", False)]:
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 500.0)
        optimizer = make(name, model)
        model.weight.grad = torch.zeros(1, 1)
        optimizer.step()
        change = 500.0 - model.weight.item()
        assert OPTIMIZERS[name].coupled_decay is coupled
        assert change == pytest.approx(0.1 if coupled else 0.1 * 0.01 * 500, rel=1e-3)


def test_advice_for_adam_with_much_decay():
    advice = optimizer_advice("Adam", 0.01)
    assert "0.01" in advice and "--optimizer adamw" in advice
    assert optimizer_advice("adam", 1e-4) is None
    assert optimizer_advice("adamw", 0.1) is None
    assert optimizer_advice("sgd", 0.1) is None
