"""The networks that `--model auto` chooses among."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """A network, and how well its weights are known to transfer."""

    name: str
    imagenet: float
    """Top-1 accuracy on ImageNet in percent, from timm's results/results-imagenet.csv. It goes
    with the accuracy after transfer (correlation 0.96 to 0.99: Kornblith et al. 2019,
    arXiv:1805.08974), which nobody knows before."""


CANDIDATES = (
    Candidate("efficientnet_lite0", 74.8),
    Candidate("tf_efficientnet_lite1", 76.6),
    Candidate("tf_efficientnet_lite2", 77.5),
    Candidate("efficientnet_lites", 77.5),
    Candidate("convnext_tiny.in12k_ft_in1k", 84.5),
    Candidate("convnext_small.in12k_ft_in1k", 85.3),
)
"""The cheapest first; of equals the later is preferred. The two networks that are joined stand
with the figure of the better one: nobody has judged them together on ImageNet, but the features
of both tell more (benchmarks/features.py). Small networks have weights in Python packages, which
need no connection. Those trained with label smoothing on ImageNet alone are left out: it hurts
their features (Kornblith et al. 2021, arXiv:2010.16402)."""
