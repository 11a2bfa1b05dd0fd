"""Optimisers by name: four of torch's in a table, and timm's.

The default learning rates are for 32 images per step; the plan scales them with the batch.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lacewing.errors import ConfigError
from lacewing.values import nearest


@dataclass(frozen=True)
class Rates:
    """Default learning rates for 32 images per step."""

    fine_tune: float
    """From pretrained weights."""
    scratch: float
    """From random weights."""


SGD_RATES = Rates(fine_tune=0.008, scratch=0.0125)
"""From scratch 0.1 at batch 256 (Goyal et al. 2017); fine-tuning 0.001 at batch 4 (PyTorch's
transfer learning tutorial). Both with momentum 0.9, brought to batch 32 by linear scaling."""
ADAM_RATES = Rates(fine_tune=3e-4, scratch=1e-3)
"""From scratch Adam's own default (Kingma and Ba 2015); fine-tuning a third of it."""
RMSPROP_RATES = Rates(fine_tune=3e-5, scratch=1e-4)
"""Adam's by ten: torch's RMSprop adds up its momentum (0.9), where Adam averages it."""
LION_RATES = Rates(fine_tune=6e-5, scratch=2e-4)
"""Adam's by five; Chen et al. 2023, section 5, say three to ten times lower."""


@dataclass(frozen=True, kw_only=True)
class OptimizerInfo:
    """What there is to know of an optimiser."""

    name: str
    rates: Rates
    kernels: tuple[str, ...] = ()
    """Of foreach and fused: those it has besides the plain one."""
    coupled_decay: bool | None = None
    """Whether weight decay is an L2 term in the gradient; None where its paper must tell."""
    from_timm: bool = False

    def default_learning_rate(self, pretrained: bool) -> float:
        """The rate to use where none is asked, for 32 images per step."""
        return self.rates.fine_tune if pretrained else self.rates.scratch


BOTH = ("foreach", "fused")
OPTIMIZERS = {
    info.name: info
    for info in (
        OptimizerInfo(name="sgd", rates=SGD_RATES, kernels=BOTH, coupled_decay=True),
        OptimizerInfo(name="adam", rates=ADAM_RATES, kernels=BOTH, coupled_decay=True),
        OptimizerInfo(name="adamw", rates=ADAM_RATES, kernels=BOTH, coupled_decay=False),
        OptimizerInfo(
            name="rmsprop", rates=RMSPROP_RATES, kernels=("foreach",), coupled_decay=True
        ),
    )
}
"""torch's own optimisers; every other name is looked up in timm."""
TIMM_RATES = {
    "sgd": SGD_RATES,
    "csgd": SGD_RATES,
    "nesterov": SGD_RATES,
    "momentum": SGD_RATES,
    "lars": SGD_RATES,
    "larc": SGD_RATES,
    "nlar": SGD_RATES,
    "rmsprop": RMSPROP_RATES,
    "crmsprop": RMSPROP_RATES,
    "lion": LION_RATES,
    "clion": LION_RATES,
}
"""Rates of timm's optimisers by the start of their name; Adam's for all others."""
TIMM_UNUSABLE = {
    "bnb": "needs bitsandbytes",
    "fused": "needs apex",
    "adahessian": "needs a second backward pass",
    "kron": "draws from a generator that no seed of ours reaches",
    "lamb": "keeps a tensor among its settings, which a checkpoint holds as JSON",
    "clamb": "the same",
    "adafactorbv": "keeps a dtype among its settings",
    "cadafactorbv": "the same",
}
"""Starts of the names that are left out, and why."""


def find_optimizer(name: str) -> OptimizerInfo:
    """What is known of an optimiser, whatever the case of its name. Raises ConfigError."""
    key = name.lower()
    if key in OPTIMIZERS:
        return OPTIMIZERS[key]
    others = timm_names()
    if key not in others:
        hint = nearest(key, sorted({*OPTIMIZERS, *others}))
        raise ConfigError(
            f"There is no optimiser {name!r}{hint or ': use sgd, adam, adamw or rmsprop.'}"
        )
    rates = next((r for start, r in TIMM_RATES.items() if key.startswith(start)), ADAM_RATES)
    return OptimizerInfo(name=key, rates=rates, from_timm=True)


def timm_names() -> list[str]:
    """timm's optimisers that train any network here, sorted."""
    from timm import optim  # slow to import

    names = [str(name) for name in optim.list_optimizers()]  # type: ignore[attr-defined]
    return sorted(name for name in names if not name.startswith(tuple(TIMM_UNUSABLE)))


def make_optimizer(
    info: OptimizerInfo,
    model: nn.Module,
    learning_rate: float,
    weight_decay: float,
    momentum: float = 0.9,
    nesterov: bool = False,
    kernel: str = "plain",
    decay_norms: bool = True,
    rates: Mapping[str, float] | None = None,
) -> torch.optim.Optimizer:
    """The optimiser over the network's trainable weights.

    Momentum is SGD's and RMSprop's, and of those of timm's that have one. `kernel` is plain,
    or a member of `info.kernels`. Without `decay_norms`, parameters of one dimension (biases,
    scales of norms) get no weight decay; classic flags mean what they say, so by default they do.
    A parameter named in `rates` learns at so many times the rate, which its group carries as
    `lr_scale`: `set_learning_rate` honours it.
    """
    groups = parameter_groups(model, weight_decay, decay_norms, rates or {})
    if info.from_timm:
        from timm import optim  # slow to import

        return optim.create_optimizer_v2(  # type: ignore[attr-defined]
            groups, info.name, lr=learning_rate, weight_decay=weight_decay, momentum=momentum
        )
    options: dict[str, Any] = {"lr": learning_rate, "weight_decay": weight_decay}
    if info.name in ("sgd", "rmsprop"):
        options["momentum"] = momentum
    if info.name == "sgd":
        options["nesterov"] = nesterov
    kind = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
    }[info.name]
    optimizer = kind(groups, **options, **kernel_options(kind, kernel))
    if info.name == "sgd" and kernel == "fused" and momentum:
        optimizer.register_step_pre_hook(lambda stepped, *_: begin_momentum(stepped))
    return optimizer


def begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give each weight that has a gradient and no momentum yet one of zeros.

    torch's fused SGD (2.14) leaves the first one as the memory happens to be where the loss scaler
    skips the step, and fails where some weights of a group have theirs and others don't. From
    zeros the first momentum is the gradient, as torch begins it.
    """
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.grad is not None:
                state = optimizer.state[weight]
                if state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = torch.zeros_like(weight.grad)


def kernel_options(kind: type[torch.optim.Optimizer], kernel: str) -> dict[str, bool]:
    """The constructor's switches for a kernel; said outright, as None lets torch choose."""
    known = inspect.signature(kind).parameters
    return {name: name == kernel for name in ("foreach", "fused") if name in known}


def parameter_groups(
    model: nn.Module,
    weight_decay: float,
    decay_norms: bool,
    rates: Mapping[str, float],
) -> list[dict[str, Any]]:
    """The trainable parameters in groups of one rate and one weight decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            decay = weight_decay if decay_norms or weight.ndim > 1 else 0.0
            groups.setdefault((decay, rates.get(name, 1.0)), []).append(weight)
    return [
        {"params": weights, "weight_decay": decay, "lr_scale": rate}
        for (decay, rate), weights in groups.items()
    ]


def optimizer_advice(name: str, weight_decay: float) -> str | None:
    """A sentence where the optimiser and its weight decay rarely go well together, else None.

    Adam divides the L2 term by the gradient's size as it does the gradient, so the weights
    with the largest gradients are decayed least (Loshchilov and Hutter 2019).
    """
    if name.lower() != "adam" or weight_decay < 1e-3:
        return None
    return (
        f"Adam turns a weight decay of {weight_decay:g} into a pull that mostly fights learning: "
        "--optimizer adamw applies it to the weights themselves."
    )
