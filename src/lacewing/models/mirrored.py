"""A network that looks at each image twice: as it is, and mirrored."""

import torch
from torch import Tensor, nn


class Mirrored(nn.Module):
    """Images float32 [N, 3, S, S] to the mean of their and their mirror images' logits [N, C].

    Test-time augmentation (Krizhevsky, Sutskever and Hinton, NeurIPS 2012, section 4.1) in its
    smallest form. The mean is of logits, not of probabilities, so that a temperature or a shift
    in the head acts on it as on a single pass.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, C]."""
        return both_ways(self.network, images).mean(1)


def both_ways(network: nn.Module, images: Tensor) -> Tensor:
    """Logits [N, 2, C] of images [N, 3, S, S]: each as it is, then mirrored.

    It is one pass of 2 N images, so that an export holds the network's layers once.
    """
    logits = network(torch.cat([images, images.flip(3)]))
    return logits.unflatten(0, (2, -1)).transpose(0, 1)
