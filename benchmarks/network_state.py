"""What timm's largest convolutional networks take in AdamW beside their activations.

In fp32 each weight has its gradient and two moments: 16 bytes. Nothing is trained or loaded.

    python benchmarks/network_state.py
"""

import timm
import torch

from common import print_table

NETWORKS = ("resnetv2_152x4_bit", "convnext_xxlarge", "convnextv2_huge", "regnety_1280",
            "tf_efficientnet_l2")  # fmt: skip
BYTES_PER_WEIGHT = 16


def weights_of(name: str) -> int:
    """The network's number of weights."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in timm.create_model(name).parameters())


def main() -> None:
    counts = {name: weights_of(name) for name in NETWORKS}
    rows = [[name, f"{n / 1e6:.0f}", f"{BYTES_PER_WEIGHT * n / 1e9:.1f}"]
            for name, n in counts.items()]  # fmt: skip
    print_table(["network", "weights, millions", "state in AdamW, GB"], rows)


if __name__ == "__main__":
    main()
