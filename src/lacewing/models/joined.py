"""Several small networks side by side, one linear head on the features of all.

What one network misses another may see: features of different networks, joined, tell more than
those of a larger one (an ensemble, Hansen and Salamon 1990, whose members vote through one
head). A pass costs the sum of its members.
"""

from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn

JOINED = {"lites": ("tf_efficientnet_lite0", "tf_efficientnet_lite2")}
"""Members by the name of the whole; the weights of these come in packages. On 1,440 photos of 12
kinds, a head on the features of both at 256 pixels reached 0.924 over five folds, on Lite0's alone
0.912, on Lite2's alone 0.913 at its 288 (benchmarks/features.py)."""


class Joined(nn.Module):
    """Images float32 [N, 3, S, S], S >= 32, to logits [N, classes]."""

    def __init__(self, members: Sequence[str], classes: int, dropout: float) -> None:
        super().__init__()
        bodies: list[Any] = [timm.create_model(name, num_classes=0) for name in members]
        self.bodies = nn.ModuleList(bodies)
        self.dropout = nn.Dropout(dropout)
        widths: list[int] = [body.num_features for body in bodies]
        self.head = nn.Linear(sum(widths), classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes]."""
        return self.head(self.dropout(self.pooled(images)))

    def pooled(self, images: Tensor) -> Tensor:
        """The members' pooled features, in their order: float32 [N, D]."""
        return torch.cat([body(images) for body in self.bodies], dim=1)
