"""What is exported: the network with its preprocessing inside, from pixels to probabilities."""

import torch
from torch import Tensor, nn

from lacewing.data.preprocess import Preprocessing


class Deployable(nn.Module):
    """Squares uint8 [N, S, S, 3], RGB, to probabilities float32 [N, classes].

    Scaling and normalisation are inside, so nobody can forget them; resizing, which differs
    from photo to photo, stays outside and is described in the sidecar.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, squares: Tensor) -> Tensor:
        """Probabilities [N, classes]."""
        images = squares.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        logits = self.model((images - self.mean) / self.std)
        return torch.softmax(logits.to(torch.float32), dim=1)
