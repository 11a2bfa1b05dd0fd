"""ResNet-50 with a feature pyramid as a classifier.

Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017 (arXiv:1612.03144).
The paper detects objects; here each level is pooled and the levels vote together, so that
small insects still count where only the finer levels see them.
"""

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

FILTERS = 256
"""Channels of every pyramid level, as in the paper."""
STAGES = (256, 512, 1024, 2048)
"""Channels of ResNet-50's four stages."""


class FeaturePyramid(nn.Module):
    """Images float32 [N, 3, S, S], S >= 32, to logits [N, classes].

    Levels P2 to P5 stand at strides 4, 8, 16 and 32.
    """

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = timm.create_model(
            "resnet50", features_only=True, out_indices=(1, 2, 3, 4), pretrained=False
        )
        self.lateral = nn.ModuleList(nn.Conv2d(C, FILTERS, 1) for C in STAGES)
        self.smooth = nn.ModuleList(nn.Conv2d(FILTERS, FILTERS, 3, padding=1) for _ in STAGES)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(FILTERS * len(STAGES), classes)
        for layer in [*self.lateral, *self.smooth]:
            nn.init.kaiming_uniform_(layer.weight, a=1)  # linear layers: no ReLU follows
            nn.init.zeros_(layer.bias)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's description of the layers in their order; the levels' lie side by side."""
        block = r"^backbone\.layer(\d+)" if coarse else r"^backbone\.layer(\d+)\.(\d+)"
        levels = [(r"^lateral", (len(STAGES) + 1,)), (r"^smooth|^head", (len(STAGES) + 2,))]
        return {"stem": r"^backbone\.(?:conv1|bn1)", "blocks": [(block, None), *levels]}

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes]."""
        return self.head(self.dropout(self.pooled(images)))

    def pooled(self, images: Tensor) -> Tensor:
        """The levels' means over space, finest first: float32 [N, 4 * FILTERS]."""
        return torch.cat([level.mean((2, 3)) for level in self.levels(images)], dim=1)

    def levels(self, images: Tensor) -> list[Tensor]:
        """P2 to P5, each [N, FILTERS, S / stride, S / stride]."""
        stages = self.backbone(images)
        merged = [lateral(stage) for lateral, stage in zip(self.lateral, stages, strict=True)]
        for fine in reversed(range(len(merged) - 1)):
            coarse = interpolate(merged[fine + 1], size=merged[fine].shape[-2:], mode="nearest")
            merged[fine] = merged[fine] + coarse
        return [smooth(level) for smooth, level in zip(self.smooth, merged, strict=True)]
