"""The loop that most people write, which others are compared with: fp32, contiguous, AdamW.

Makes a training step on ready images for each line of its input (see apart.py), or only a
forward pass:

    python benchmarks/plain_loop.py MODEL IMAGE_SIZE BATCH DEVICE [forward]
"""

import sys

import timm
import torch
from torch import nn

from apart import obey

CLASSES = 8


def main() -> None:
    """Set up, then obey."""
    name, side, batch, device = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=CLASSES).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images = torch.randn(batch, 3, side, side, device=device)
    labels = torch.arange(batch, device=device) % CLASSES

    def step() -> None:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        float(loss.detach())  # waits for the device

    def forward() -> None:
        with torch.inference_mode():
            float(model(images).sum())

    obey(forward if sys.argv[5:] == ["forward"] else step)


if __name__ == "__main__":
    main()
