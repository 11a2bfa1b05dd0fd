"""A configuration's loss and its optimiser; the trial and the run make them here."""

import torch
from torch import nn

from lacewing.config import TrainConfig
from lacewing.data.index import ImageIndex
from lacewing.engine.calibration import prior_shift
from lacewing.engine.losses import Loss, make_loss
from lacewing.engine.optimizers import find_optimizer, make_optimizer
from lacewing.models.layers import layer_rates


def loss_of(config: TrainConfig, index: ImageIndex, device: torch.device) -> Loss:
    """The training loss, for logits on the device."""
    tau = config.logit_adjustment
    # sent once: each copy from ordinary memory waits for the device
    shift = prior_shift(index.counts("train"), -tau).to(device) if tau else None
    return make_loss(config.label_smoothing, config.focal, shift)


def optimizer_of(
    config: TrainConfig, model: nn.Module, learning_rate: float, kernel: str
) -> torch.optim.Optimizer:
    """The optimiser over a network that `build_model` made, with each layer's rate and decay."""
    return make_optimizer(
        find_optimizer(config.optimizer),
        model,
        learning_rate=learning_rate,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        nesterov=config.nesterov,
        kernel=kernel,
        decay_norms=config.decay_norms,
        rates=layer_rates(model, config.head_rate or 1.0, config.layer_decay),
    )
