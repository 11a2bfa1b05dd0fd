"""Residual attention network, Attention-56.

Wang et al., "Residual Attention Network for Image Classification", CVPR 2017
(arXiv:1704.06904), with the paper's p = 1, t = 2, r = 1: residual units before and after an
attention module, in its trunk, and between two poolings of its mask. Residual units are
pre-activation bottlenecks (He et al. 2016, arXiv:1603.05027). The paper fixes the mask's sizes
for 224-pixel images; here each is taken from the tensor it must match, so any size works.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

EXPANSION = 4
"""A residual unit's output channels for each channel of its 3x3 convolution."""
TRUNK_UNITS = 2
"""t in the paper."""


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1; a norm follows, so it has no bias."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def active(channels: int) -> list[nn.Module]:
    """What stands before each convolution of a pre-activation network."""
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


class ResidualUnit(nn.Module):
    """[N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        width = outputs // EXPANSION
        self.before = nn.Sequential(*active(inputs))
        self.branch = nn.Sequential(
            conv(inputs, width, 1),
            *active(width),
            conv(width, width, 3, stride),
            *active(width),
            conv(width, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The branch's output added to the input, or to its projection where shapes differ."""
        activated = self.before(x)
        kept = x if self.shortcut is None else self.shortcut(activated)
        return kept + self.branch(activated)


class SoftMask(nn.Module):
    """[N, C, H, W] to weights in 0..1 of the same shape.

    Pooled `depth` times on the way down, interpolated as often on the way up; a skip with a
    residual unit joins equal sizes.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.down = nn.ModuleList(ResidualUnit(channels, channels) for _ in range(depth))
        self.skip = nn.ModuleList(ResidualUnit(channels, channels) for _ in range(depth - 1))
        self.up = nn.ModuleList(ResidualUnit(channels, channels) for _ in range(depth))
        self.weigh = nn.Sequential(
            *active(channels),
            conv(channels, channels, 1),
            *active(channels),
            nn.Conv2d(channels, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The mask M of the paper's equation 3."""
        size = x.shape[-2:]
        on_the_way = []
        for down in self.down:
            x = down(self.pool(x))
            on_the_way.append(x)
        x = self.up[0](on_the_way.pop())
        for up, skip, kept in zip(self.up[1:], self.skip, reversed(on_the_way), strict=True):
            x = up(enlarged(x, kept.shape[-2:]) + skip(kept))
        return self.weigh(enlarged(x, size))


def enlarged(x: Tensor, size: torch.Size) -> Tensor:
    """Bilinear interpolation to `size` (H, W)."""
    return interpolate(x, size=size, mode="bilinear", align_corners=False)


class AttentionModule(nn.Module):
    """[N, C, H, W] to the same shape: trunk features T weighed as (1 + M) * T."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.first = ResidualUnit(channels, channels)
        self.trunk = nn.Sequential(*(ResidualUnit(channels, channels) for _ in range(TRUNK_UNITS)))
        self.mask = SoftMask(channels, depth)
        self.last = ResidualUnit(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attention residual learning: a mask of zeros leaves the trunk as it is."""
        x = self.first(x)
        return self.last((1 + self.mask(x)) * self.trunk(x))


class ResidualAttention(nn.Module):
    """Images float32 [N, 3, S, S], S >= 32, to logits [N, classes]."""

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, 64, 7, stride=2), *active(64), nn.MaxPool2d(3, stride=2, padding=1)
        )
        self.stages = nn.Sequential(
            ResidualUnit(64, 256),
            AttentionModule(256, depth=3),
            ResidualUnit(256, 512, stride=2),
            AttentionModule(512, depth=2),
            ResidualUnit(512, 1024, stride=2),
            AttentionModule(1024, depth=1),
            ResidualUnit(1024, 2048, stride=2),
            ResidualUnit(2048, 2048),
            ResidualUnit(2048, 2048),
            *active(2048),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes]."""
        pooled = self.stages(self.stem(images)).mean((2, 3))
        return self.head(self.dropout(pooled))
