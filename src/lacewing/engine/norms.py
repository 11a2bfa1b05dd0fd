"""BatchNorm over all processes of a step: its statistics are those of everyone's images.

torch's own SyncBatchNorm needs a GPU, and leaves the others waiting for ever when one process
runs out of memory. This one runs on every device, and speaks through `Rounds`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from lacewing.engine.rounds import Rounds

Sums = tuple[Tensor, Tensor, Tensor]
"""Mean [C], variance [C] and number of values (0-dim) over all processes, float32."""


class SyncedNorm(_BatchNorm):
    """Takes the place of a BatchNorm: the same names, weights and statistics.

    It also does what timm's `BatchNormAct2d` does after normalising.
    """

    def __init__(self, norm: _BatchNorm, rounds: Rounds) -> None:
        super().__init__(
            norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
        )
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self._rounds = rounds
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())
        self.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalised over all processes in training; by the kept statistics otherwise."""
        if not self.training:
            normal = functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        else:
            mean, variance, count = shared_statistics(input, self._rounds)
            self._keep(mean, variance, count)
            normal = Normalise.apply(input, mean, variance, count, self.eps, self._rounds)
            if self.weight is not None:
                shape = broadcast_shape(input)
                normal = normal * self.weight.view(shape) + self.bias.view(shape)
            normal = normal.to(input.dtype)
        return self.act(self.drop(normal))

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics as BatchNorm does."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        seen = float(self.num_batches_tracked)
        share = 1 / seen if self.momentum is None else self.momentum
        unbiased = variance * (count / (count - 1).clamp(min=1))
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(unbiased, share)


def broadcast_shape(images: Tensor) -> list[int]:
    """The shape in which a vector [C] stands beside images [N, C, ...]."""
    return [1, -1] + [1] * (images.ndim - 2)


def other_dims(images: Tensor) -> list[int]:
    """All dimensions but the channels'."""
    return [0, *range(2, images.ndim)]


@torch.no_grad()
def shared_statistics(images: Tensor, rounds: Rounds) -> Sums:
    """Mean and variance of each channel over everyone's images [n, C, ...].

    Each process's own are combined (Chan, Golub and LeVeque 1983), which keeps the digits that
    a sum of squares would lose.
    """
    values = images.float()
    variance, mean = torch.var_mean(values, other_dims(images), correction=0)
    own = values.numel() / values.shape[1]
    said = rounds.exchange(torch.cat([torch.tensor([own]), mean.cpu(), variance.cpu()]))
    counts = said[:, :1]
    means, variances = said[:, 1:].chunk(2, dim=1)
    count = counts.sum()
    shares = counts / count
    joint = (shares * means).sum(0)
    spread = (shares * (variances + (means - joint) ** 2)).sum(0)
    device = images.device
    return joint.to(device), spread.to(device), count.to(device)


class Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps), whose mean and variance are everyone's.

    The gradient is BatchNorm's (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3), with its
    two sums over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
        rounds: Rounds,
    ) -> Tensor:
        """Normalised images, float32 [n, C, ...]."""
        shape = broadcast_shape(images)
        scale = (variance + eps).rsqrt()
        normal = (images.float() - mean.view(shape)) * scale.view(shape)
        ctx.save_for_backward(normal, scale, count)
        ctx.rounds, ctx.dtype = rounds, images.dtype
        return normal

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Of the images only."""
        normal, scale, count = ctx.saved_tensors
        dims, shape = other_dims(normal), broadcast_shape(normal)
        own = torch.cat([gradient.sum(dims), (gradient * normal).sum(dims)])
        total = ctx.rounds.exchange(own.cpu()).sum(0).to(own.device) / count
        mean, slope = (part.view(shape) for part in total.chunk(2))
        found = scale.view(shape) * (gradient - mean - normal * slope)
        return found.to(ctx.dtype), None, None, None, None, None


def synchronise_norms(model: nn.Module, rounds: Rounds) -> int:
    """Put a `SyncedNorm` in the place of every BatchNorm; returns how many there were.

    `rounds` is made wide enough for them.
    """
    found = [(name, module) for name, module in model.named_modules() if is_batchnorm(module)]
    for name, norm in found:
        assert isinstance(norm, _BatchNorm)
        owner, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(owner), own_name, SyncedNorm(norm, rounds))
        rounds.width = max(rounds.width, 1 + 2 * norm.num_features)
    return len(found)


def is_batchnorm(module: nn.Module) -> bool:
    """Whether it normalises over the images of a pass."""
    return isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm)
