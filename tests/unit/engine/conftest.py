"""Small networks and batches."""

import pytest
import torch
from torch import nn


@pytest.fixture
def network():
    """Makes a tiny convolutional network, the same at each call."""

    def make(norm=True, dropout=0.0, classes=4):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8) if norm else nn.GroupNorm(2, 8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(8, classes),
        )

    return make


@pytest.fixture
def batch():
    """Images float32 [17, 3, 8, 8] and labels int64 [17]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(17, 3, 8, 8, generator=generator), torch.arange(17) % 4
